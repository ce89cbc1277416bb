import { once } from 'node:events';
import { createReadStream, type WriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { opus } from 'prism-media';
import wav from 'wav';
import { ReelayError } from '../config/ReelayError.js';
import { kernels } from './kernels.js';
import { createOpusCodec, type OpusCodec } from './Opus.js';
import { bytesOf, channelOf, interleaved, samplesOf } from './pcm.js';
import { Resampler } from './Resampler.js';
import { WavFormat } from './wav.js';

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
  const recorded = await readRecorded(file, await firstFourBytes(file));
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
  // It rewrites the header through a second descriptor, so "done" doesn't mean that the first one is finished.
  const finished = Promise.all([once(writer, 'done'), once(stream, 'close')]);
  writer.end(Buffer.from(bytesOf(interleaved(channels))));
  await finished;
}

async function firstFourBytes(file: string): Promise<string> {
  try {
    const handle = await open(file);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
      return buffer.toString('latin1', 0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw new ReelayError('speech_unreadable', {
      value: file,
      remedy: 'Check that the file is there.',
      cause,
    });
  }
}

async function readRecorded(file: string, magic: string): Promise<Recorded> {
  if (magic === 'RIFF') return readWav(file);
  if (magic === 'OggS') return readOggOpus(file);
  throw new ReelayError('speech_unreadable', {
    value: file,
    remedy: 'Convert it first, for example: ffmpeg -i FILE -c:a pcm_s16le speech.wav',
  });
}

async function readWav(file: string): Promise<Recorded> {
  const reader = new wav.Reader();
  let format: wav.Format | undefined;
  reader.on('format', (read) => (format = read));
  const chunks: Buffer[] = [];
  reader.on('data', (chunk: Buffer) => chunks.push(chunk));
  await pipeline(createReadStream(file), reader).catch((cause: unknown) => {
    throw new ReelayError('wav_invalid', { value: file, cause });
  });
  if (format === undefined || chunks.length === 0) {
    throw new ReelayError('wav_invalid', { value: `${file} holds no audio` });
  }
  const samples = linear(Buffer.concat(chunks), format, file);
  return { samples: channelOf(samples, 0, format.channels), sampleRate: format.sampleRate };
}

function linear(audio: Buffer, format: wav.Format, file: string): Int16Array {
  const { audioFormat, bitDepth } = format;
  // The library doesn't show the sub-format of an extensible header; with 16 bits it can only be PCM.
  const isPcm = audioFormat === WavFormat.pcm || audioFormat === WavFormat.extensible;
  if (isPcm && bitDepth === 16) return samplesOf(audio);
  const samples = new Int16Array(audio.length);
  if (audioFormat === WavFormat.mulaw && bitDepth === 8) kernels.decodeMulaw(audio, samples);
  else if (audioFormat === WavFormat.alaw && bitDepth === 8) kernels.decodeAlaw(audio, samples);
  else {
    throw new ReelayError('wav_invalid', {
      value: `${file} has format ${audioFormat} with ${bitDepth} bits`,
      remedy: 'Convert it to 16-bit PCM, for example: ffmpeg -i FILE -c:a pcm_s16le speech.wav',
    });
  }
  return samples;
}

async function readOggOpus(file: string): Promise<Recorded> {
  const demuxer = new opus.OggDemuxer();
  let head: Buffer | undefined;
  demuxer.on('head', (read: Buffer) => (head = read));
  const packets: Buffer[] = [];
  demuxer.on('data', (packet: Buffer) => packets.push(packet));
  await pipeline(createReadStream(file), demuxer).catch((cause: unknown) => {
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
