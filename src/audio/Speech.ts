import { once } from 'node:events';
import type { WriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { opus } from 'prism-media';
import wav from 'wav';
import { ReelayError } from '../config/ReelayError.js';
import { kernels } from './kernels.js';
import { createOpusCodec, type OpusCodec } from './Opus.js';
import { bytesOf, channelOf, interleaved, samplesOf } from './pcm.js';
import { Resampler } from './Resampler.js';
import { readWavHeader, WavFormat, type WavHeader } from './wav.js';

/** Opus always decodes at 48 kHz here: pre-skip is counted at that rate (RFC 7845 section 4.2). */
const opusRate = 48_000;

/** Audio of one channel and the rate it was stored at, Hz. */
interface Recorded {
  readonly samples: Int16Array;
  readonly sampleRate: number;
}

/**
 * Reads a file of speech, told apart by its first bytes: WAV (PCM16, mu-law, A-law) or Ogg Opus. Of several channels the
 * first one is taken.
 *
 * @param sampleRate - Hz of the result; the audio is resampled when the file has another rate
 * @throws ReelayError `speech_unreadable`, `wav_invalid`, `opus_invalid` or `sample_rate_invalid`
 */
export async function readSpeech(file: string, sampleRate: number): Promise<Int16Array> {
  const recorded = await decodeFile(file, await bytesOfFile(file));
  const resampler = new Resampler(recorded.sampleRate, sampleRate);
  const parts = [resampler.push(recorded.samples), resampler.flush()];
  return concatenated(parts);
}

/**
 * Writes a PCM16 WAV file, one entry of `channels` per channel, all of the same length. An existing file is replaced.
 *
 * @throws RangeError when the channels differ in length or there is none; the file system's error otherwise
 */
export async function writeWav(
  file: string,
  { sampleRate, channels }: { readonly sampleRate: number; readonly channels: readonly Int16Array[] },
): Promise<void> {
  const lengths = new Set(channels.map((channel) => channel.length));
  if (lengths.size !== 1) throw new RangeError('channels must be one or more, of the same length');
  const writer = new wav.FileWriter(file, { sampleRate, channels: channels.length, bitDepth: 16 });
  // The library declares no type for its file and passes on none of that stream's errors.
  const { file: stream } = writer as unknown as { readonly file: WriteStream };
  // At the end it opens the file a second time by name, which for short audio could come before the first open.
  await once(stream, 'open');
  // It rewrites the header through a second descriptor, so "done" doesn't mean that the first one is finished.
  const finished = Promise.all([once(writer, 'done'), once(stream, 'close')]);
  writer.end(Buffer.from(bytesOf(interleaved(channels))));
  await finished;
}

async function bytesOfFile(file: string): Promise<Buffer> {
  return readFile(file).catch((cause: unknown) => {
    throw new ReelayError('speech_unreadable', {
      value: file,
      remedy: 'Check that the file is there.',
      cause,
    });
  });
}

async function decodeFile(file: string, bytes: Buffer): Promise<Recorded> {
  const magic = bytes.toString('latin1', 0, 4);
  if (magic === 'RIFF') return decodeWav(file, bytes);
  if (magic === 'OggS') return decodeOggOpus(file, bytes);
  throw new ReelayError('speech_unreadable', {
    value: file,
    remedy: 'Convert it first, for example: ffmpeg -i FILE -c:a pcm_s16le speech.wav',
  });
}

/*
 * WAV files are written with the `wav` library but not read with it: version 1.0.2 throws where nobody can catch it on an
 * empty chunk, and loses the audio behind a chunk of odd length. Both occur in files from real tools.
 */
function decodeWav(file: string, bytes: Buffer): Recorded {
  const header = readWavHeader(bytes);
  const rest = bytes.subarray(header.dataOffset);
  // A writer that could not seek leaves 0, or more than there is; the audio then goes to the end of the file.
  const audio = header.dataBytes === 0 ? rest : rest.subarray(0, header.dataBytes);
  const samples = channelOf(linear(audio, header, file), 0, header.channels);
  if (samples.length === 0) throw new ReelayError('wav_invalid', { value: `${file} holds no audio` });
  return { samples, sampleRate: header.sampleRate };
}

function linear(audio: Buffer, { formatTag, bitsPerSample }: WavHeader, file: string): Int16Array {
  if (formatTag === WavFormat.pcm && bitsPerSample === 16) return samplesOf(audio);
  const samples = new Int16Array(audio.length);
  if (formatTag === WavFormat.mulaw && bitsPerSample === 8) kernels.decodeMulaw(audio, samples);
  else if (formatTag === WavFormat.alaw && bitsPerSample === 8) kernels.decodeAlaw(audio, samples);
  else {
    throw new ReelayError('wav_invalid', {
      value: `${file} has format ${formatTag} with ${bitsPerSample} bits`,
      remedy: 'Convert it to 16-bit PCM, for example: ffmpeg -i FILE -c:a pcm_s16le speech.wav',
    });
  }
  return samples;
}

async function decodeOggOpus(file: string, bytes: Buffer): Promise<Recorded> {
  const demuxer = new opus.OggDemuxer();
  let head: Buffer | undefined;
  demuxer.on('head', (read: Buffer) => (head = read));
  const packets: Buffer[] = [];
  demuxer.on('data', (packet: Buffer) => packets.push(packet));
  await pipeline(Readable.from([bytes]), demuxer).catch((cause: unknown) => {
    throw new ReelayError('speech_unreadable', { value: file, cause });
  });
  if (head === undefined || head.length < 19 || packets.length === 0) {
    throw new ReelayError('speech_unreadable', { value: `${file} holds no Opus audio` });
  }
  return { samples: decodePackets(packets, head), sampleRate: opusRate };
}

/** @param head - identification header, RFC 7845 section 5.1 */
function decodePackets(packets: readonly Buffer[], head: Buffer): Int16Array {
  const channels = head.readUInt8(9);
  const preSkip = head.readUInt16LE(10);
  const codec = createOpusCodec({ sampleRate: opusRate, channels });
  try {
    return concatenated(packets.map((packet) => firstChannel(codec, packet, channels))).subarray(preSkip);
  } finally {
    codec.delete();
  }
}

function firstChannel(codec: OpusCodec, packet: Buffer, channels: number): Int16Array {
  return channelOf(codec.decode(packet), 0, channels);
}

function concatenated(parts: readonly Int16Array[]): Int16Array {
  const whole = new Int16Array(parts.reduce((samples, part) => samples + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
