import type { ChannelSelection } from '../../audio/ChannelSelection.js';
import { canEncodeMp3, encodeMp3 } from '../../audio/Mp3.js';
import { canEncodeOpus, encodeOggOpus } from '../../audio/OggOpus.js';
import { oggSerialOf } from '../../audio/OggPage.js';
import { bytesOf } from '../../audio/pcm.js';
import { maxDataBytes, type WavShape, wavHeader, wholeWavHeader } from '../../audio/wav.js';
import { ReelayError } from '../../config/ReelayError.js';
import { wallClockAt, type RecordingClock } from '../../spool/wallClock.js';
import type { ByteRange } from '../../storage/ObjectStore.js';
import type { RecordedAudio, SampleRange } from './RecordedAudio.js';

export const renditionFormats = ['wav', 'opus', 'mp3'] as const;
export type RenditionFormat = (typeof renditionFormats)[number];

export interface RenditionOptions {
  readonly format: RenditionFormat;
  readonly selection: ChannelSelection;
  /** Within the audio. */
  readonly range: SampleRange;
  /** What is rendered: the recording's id. */
  readonly name: string;
  /** What its samples are timed by. */
  readonly clock: RecordingClock;
}

const contentTypes = { wav: 'audio/wav', opus: 'audio/ogg; codecs=opus', mp3: 'audio/mpeg' } as const;
const canEncode = { wav: () => true, opus: canEncodeOpus, mp3: canEncodeMp3 } as const;

/**
 * A part of a recording as a file of its own: some of its channels, from one sample to another, as WAV, Ogg Opus or MP3. It is made
 * while it is read and as fast as it is read, a tenth of a second of audio at a time, so that the thread that does it can
 * answer others and its heartbeat. The same part gives the same bytes.
 */
export class Rendition {
  readonly contentType: string;
  /** Known of a WAV, any part of which can be read; null of what has to be encoded from its beginning. */
  readonly bytes: number | null;
  /** The same for the same part in the same form. */
  readonly tag: string;
  /** What it is called where it is saved; letters, digits, `.`, `_` and `-`. */
  readonly fileName: string;
  readonly #audio: RecordedAudio;
  readonly #options: RenditionOptions;
  readonly #header: Uint8Array;

  /** @throws ReelayError `request_invalid` when the format can't hold such audio */
  constructor(audio: RecordedAudio, options: RenditionOptions) {
    const { format, selection, range, name } = options;
    this.#audio = audio;
    this.#options = options;
    this.contentType = contentTypes[format];
    if (!canEncode[format](this.#shape)) throw unfit(format, this.#shape);
    const dataBytes = this.#shape.samples * selection.channels * 2;
    this.#header = (dataBytes > maxDataBytes ? wholeWavHeader : wavHeader)(this.#shape);
    // What an encoder makes of it is known when it is made.
    this.bytes = format === 'wav' ? this.#header.length + dataBytes : null;
    this.tag = [name, range.start, range.end, selection.name, format].join('-');
    this.fileName = `${name.replace(/[^\w.-]/g, '_')}-${selection.name}.${format}`;
  }

  /**
   * The file's bytes.
   *
   * @param part - of a WAV
   * @throws ReelayError `chunk_missing` when audio of it is nowhere, or too short; the store's own error
   * @throws RangeError for a part of what can only be had whole
   */
  read(part?: ByteRange): AsyncGenerator<Uint8Array> {
    const { format } = this.#options;
    if (this.bytes !== null) return this.#wav(part ?? { start: 0, end: this.bytes - 1 });
    if (part !== undefined) throw new RangeError(`a part of ${format} cannot be read by itself`);
    return format === 'mp3' ? this.#mp3() : this.#opus();
  }

  get #shape(): WavShape {
    const { selection, range } = this.#options;
    const { sampleRate } = this.#audio;
    return { sampleRate, channels: selection.channels, samples: Math.max(0, range.end - range.start) };
  }

  async *#wav({ start, end }: ByteRange): AsyncGenerator<Uint8Array> {
    const { length } = this.#header;
    if (start < length) yield this.#header.subarray(start, Math.min(end + 1, length));
    if (end < length) return;
    const { selection, range } = this.#options;
    const block = selection.channels * 2;
    // Whole samples around the wanted bytes.
    const first = Math.floor(Math.max(0, start - length) / block);
    const last = Math.floor((end - length) / block);
    let skip = Math.max(0, start - length) - first * block;
    let left = end + 1 - Math.max(start, length);
    for await (const pcm of this.#pcm({ start: range.start + first, end: range.start + last + 1 })) {
      const wanted = pcm.subarray(skip, skip + left);
      skip = 0;
      left -= wanted.length;
      yield wanted;
    }
  }

  /** `wasm` by name: the native one frees memory in a way that it wasn't reserved, and it is many codecs that come and go here. */
  #opus(): AsyncGenerator<Uint8Array> {
    const { range, name, clock } = this.#options;
    const date = wallClockAt(clock, range.start);
    return encodeOggOpus(this.#pcm(range), {
      ...this.#shape,
      serial: oggSerialOf(this.tag),
      comments: { TITLE: name, DATE: date, ENCODER: 'reelay' },
      implementation: 'wasm',
    });
  }

  /** An MP3's frames are a few hundred bytes: they go out by the page, as those of the others do. */
  async *#mp3(): AsyncGenerator<Uint8Array> {
    let waiting: Uint8Array[] = [];
    let bytes = 0;
    for await (const frame of encodeMp3(this.#pcm(this.#options.range), this.#shape)) {
      waiting.push(frame);
      bytes += frame.length;
      if (bytes < mp3PageBytes) continue;
      yield Buffer.concat(waiting);
      waiting = [];
      bytes = 0;
    }
    if (bytes > 0) yield Buffer.concat(waiting);
  }

  async *#pcm(range: SampleRange): AsyncGenerator<Uint8Array> {
    for await (const pcm of this.#audio.read(range)) yield bytesOf(this.#options.selection.of(pcm));
  }
}

const mp3PageBytes = 4096;

function unfit(format: RenditionFormat, { sampleRate, channels }: WavShape): ReelayError {
  return new ReelayError('request_invalid', {
    value: `${channels} channels at ${sampleRate} Hz as ${format}`,
    remedy: channels > 2 ? 'Ask for one channel, or for mix, or for format=wav.' : 'Ask for format=wav.',
  });
}
