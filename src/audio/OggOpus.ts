import { setImmediate as turn } from 'node:timers/promises';
import { ReelayError } from '../config/ReelayError.js';
import { mostSegments, oggPage, segmentsOf } from './OggPage.js';
import { createOpusCodec, type OpusCodec, type OpusImplementation, opusRateOf } from './Opus.js';
import { channelOf, interleaved } from './pcm.js';
import { stepsOf } from './PcmSteps.js';
import { canResample } from './polyphaseFilter.js';
import { Resampler } from './Resampler.js';

/** What goes into an Ogg Opus file: interleaved PCM16. */
export interface OggOpusShape {
  /** Hz. */
  readonly sampleRate: number;
  /** 1 or 2. */
  readonly channels: number;
}

export interface OggOpusOptions extends OggOpusShape {
  /** Of the one stream in the file; the same audio under the same serial gives the same bytes. */
  readonly serial: number;
  /** What is written down about the audio, by field names as Vorbis has them (`TITLE`, `DATE`). Together less than 60 kB. */
  readonly comments?: Readonly<Record<string, string>>;
  readonly implementation?: OpusImplementation;
}

/** Positions in Ogg Opus are samples at this rate, whatever was encoded (RFC 7845, section 4), Hz. */
const granuleRate = 48_000;
/**
 * How much later than it went in audio comes out of a decoder, in samples at 48 kHz: 6.5 ms, of which an encoder for audio looks
 * ahead 2.5 and delays by 4 (`OPUS_GET_LOOKAHEAD` of libopus 1.x), at every rate. A player leaves out as much in front.
 */
const preSkip = 312;
const framesPerSecond = 50;
/** A page holds a second at most, so that a player that seeks need not read far (section 4, last paragraph). */
const packetsPerPage = framesPerSecond;
/** What one step of the encoder takes, as a part of a second. */
const stepsPerSecond = 10;
/** Of 10: as much work as is worth it for a phone call. */
export const opusComplexity = 5;

/** Whether {@link encodeOggOpus} takes audio of this shape. */
export function canEncodeOpus({ sampleRate, channels }: OggOpusShape): boolean {
  return (channels === 1 || channels === 2) && canResample(sampleRate, opusRateOf(sampleRate));
}

/** bit/s of all channels: what leaves speech of this bandwidth as it was, each party by itself. */
export function opusBitrateOf({ sampleRate, channels }: OggOpusShape): number {
  const rate = opusRateOf(sampleRate);
  return channels * (rate <= 12_000 ? 24_000 : rate <= 24_000 ? 32_000 : 48_000);
}

/**
 * Encodes audio as Ogg Opus (RFC 7845), from its first sample to its last: what a decoder has to leave out in front and behind
 * is said in the file. Between steps of a tenth of a second of audio the event loop gets its turn.
 *
 * @param pcm - pieces of any length, also of odd ones
 * @returns pages, a second of audio each
 * @throws ReelayError `opus_invalid`, or `sample_rate_invalid` for a rate that can't be converted to one of Opus
 */
export async function* encodeOggOpus(
  pcm: AsyncIterable<Uint8Array>,
  options: OggOpusOptions,
): AsyncGenerator<Buffer> {
  const { sampleRate, channels } = options;
  const rate = opusRateOf(sampleRate);
  const encoder = { bitrate: opusBitrateOf(options), complexity: opusComplexity };
  const codec = createOpusCodec({ sampleRate: rate, channels, encoder }, options.implementation);
  try {
    const pages = new OpusPages(options);
    yield* pages.heads();
    const frames = new OpusFrames(codec, rate, channels);
    for await (const step of converted(pcm, options, rate)) {
      for (const packet of frames.push(step)) yield* pages.add(packet);
      await turn();
    }
    const { packets, samples } = frames.flush();
    for (const packet of packets) yield* pages.add(packet);
    yield pages.end((samples * granuleRate) / rate);
  } finally {
    codec.delete();
  }
}

/** The audio at a rate that Opus has. */
async function* converted(
  pcm: AsyncIterable<Uint8Array>,
  { sampleRate, channels }: OggOpusShape,
  rate: number,
): AsyncGenerator<Int16Array> {
  const steps = stepsOf(pcm, channels * 2, Math.ceil(sampleRate / stepsPerSecond));
  if (rate === sampleRate) {
    yield* steps;
    return;
  }
  const resamplers = Array.from({ length: channels }, () => new Resampler(sampleRate, rate));
  for await (const step of steps)
    yield interleaved(
      resamplers.map((resampler, channel) => resampler.push(channelOf(step, channel, channels))),
    );
  yield interleaved(resamplers.map((resampler) => resampler.flush()));
}

/** Cuts audio into frames of 20 ms and has them encoded. */
class OpusFrames {
  readonly #codec: OpusCodec;
  readonly #channels: number;
  readonly #frame: Int16Array;
  readonly #delay: number;
  #filled = 0;
  #pushed = 0;

  constructor(codec: OpusCodec, rate: number, channels: number) {
    this.#codec = codec;
    this.#channels = channels;
    this.#frame = new Int16Array((rate / framesPerSecond) * channels);
    this.#delay = (preSkip * rate) / granuleRate;
  }

  /** @returns the packets of the frames that are full now */
  push(pcm: Int16Array): Uint8Array[] {
    const packets: Uint8Array[] = [];
    this.#pushed += pcm.length / this.#channels;
    for (let at = 0; at < pcm.length;) {
      const part = pcm.subarray(at, at + this.#frame.length - this.#filled);
      this.#frame.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === this.#frame.length) packets.push(this.#encode());
    }
    return packets;
  }

  /** Silence behind the audio, until a decoder has it all; and how long the audio was, per channel. */
  flush(): { readonly packets: Uint8Array[]; readonly samples: number } {
    const samples = this.#pushed;
    const packets = this.push(new Int16Array(this.#delay * this.#channels));
    if (this.#filled > 0) {
      this.#frame.fill(0, this.#filled);
      packets.push(this.#encode());
    }
    return { packets, samples };
  }

  #encode(): Uint8Array {
    this.#filled = 0;
    return this.#codec.encode(this.#frame);
  }
}

/** Packs packets into pages; one is held back, because a page has to say of itself that it is the last. */
class OpusPages {
  readonly #options: OggOpusOptions;
  #sequence = 0;
  /** Samples at 48 kHz in all packets so far, as they are decoded. */
  #decoded = 0;
  #packets: Uint8Array[] = [];
  #segments = 0;

  constructor(options: OggOpusOptions) {
    this.#options = options;
  }

  /**
   * The two headers, each in a page of its own (section 3).
   *
   * @throws ReelayError `opus_invalid` when the comments are too long
   */
  *heads(): Generator<Buffer> {
    yield this.#page({ packets: [headOf(this.#options)], granule: 0, isFirst: true });
    yield this.#page({ packets: [tagsOf(this.#options.comments ?? {})], granule: 0 });
  }

  *add(packet: Uint8Array): Generator<Buffer> {
    const segments = segmentsOf(packet.length);
    if (this.#packets.length === packetsPerPage || this.#segments + segments > mostSegments)
      yield this.#full({ granule: this.#decoded });
    this.#packets.push(packet);
    this.#segments += segments;
    this.#decoded += granuleRate / framesPerSecond;
  }

  /**
   * The page that is left, whose position says where the audio ends within its last packet (section 4.4).
   *
   * @param samples - of the whole audio, at 48 kHz
   */
  end(samples: number): Buffer {
    return this.#full({ granule: preSkip + samples, isLast: true });
  }

  #full(place: { readonly granule: number; readonly isLast?: boolean }): Buffer {
    const page = this.#page({ ...place, packets: this.#packets });
    this.#packets = [];
    this.#segments = 0;
    return page;
  }

  #page(page: Omit<Parameters<typeof oggPage>[0], 'serial' | 'sequence'>): Buffer {
    return oggPage({ ...page, serial: this.#options.serial, sequence: this.#sequence++ });
  }
}

/** The identification header (section 5.1) of one or two channels. */
function headOf({ sampleRate, channels }: OggOpusShape): Buffer {
  const head = Buffer.alloc(19);
  head.write('OpusHead', 0, 'latin1');
  head.writeUInt8(1, 8);
  head.writeUInt8(channels, 9);
  head.writeUInt16LE(preSkip, 10);
  head.writeUInt32LE(sampleRate, 12);
  return head;
}

/** Most of a packet that still leaves room in one page, bytes. */
const mostTagBytes = (mostSegments - 1) * 255;

/** The comment header (section 5.2). */
function tagsOf(comments: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(comments);
  const tags = Buffer.concat([
    Buffer.from('OpusTags', 'latin1'),
    counted('libopus'),
    lengthOf(entries.length),
    ...entries.map(([name, value]) => counted(`${name}=${value}`)),
  ]);
  if (tags.length <= mostTagBytes) return tags;
  throw new ReelayError('opus_invalid', {
    value: `comments of ${tags.length} bytes`,
    remedy: `Keep them below ${mostTagBytes} bytes.`,
  });
}

function counted(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([lengthOf(bytes.length), bytes]);
}

function lengthOf(count: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(count);
  return bytes;
}
