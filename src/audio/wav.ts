import { ReelayError } from '../config/ReelayError.js';

/*
 * WAV headers ("Multimedia Programming Interface and Data Specifications 1.0", IBM and Microsoft 1991, chapter 3; format
 * tags: RFC 2361). Pure: bytes in, values out.
 */

/** Size of the header that {@link wavHeader} makes: RIFF, `fmt ` of PCM and the head of `data`. */
export const wavHeaderBytes = 44;

/** RIFF sizes are unsigned 32-bit; the RIFF chunk counts everything after its first 8 bytes. */
const maxDataBytes = 0xffff_ffff - (wavHeaderBytes - 8);

export const WavFormat = { pcm: 1, alaw: 6, mulaw: 7, extensible: 0xfffe } as const;

export interface WavShape {
  /** Hz. */
  readonly sampleRate: number;
  readonly channels: number;
  /** Samples per channel. */
  readonly samples: number;
}

/**
 * The header of a PCM16 file whose audio has exactly this length.
 *
 * @throws ReelayError `wav_too_long` when the file would pass 4 GiB
 */
export function wavHeader({ sampleRate, channels, samples }: WavShape): Uint8Array {
  const blockBytes = channels * 2;
  const dataBytes = samples * blockBytes;
  if (dataBytes > maxDataBytes) {
    throw new ReelayError('wav_too_long', {
      value: dataBytes,
      remedy: 'Split the audio into several files.',
    });
  }
  const header = Buffer.alloc(wavHeaderBytes);
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(wavHeaderBytes - 8 + dataBytes, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(WavFormat.pcm, 20);
  header.writeUInt16LE(channels, 22);
  header.writeUInt32LE(sampleRate, 24);
  header.writeUInt32LE(sampleRate * blockBytes, 28);
  header.writeUInt16LE(blockBytes, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36, 'latin1');
  header.writeUInt32LE(dataBytes, 40);
  return header;
}

export interface WavHeader {
  /** Hz. */
  readonly sampleRate: number;
  readonly channels: number;
  readonly bitsPerSample: number;
  /** 1 PCM, 3 float, 6 A-law, 7 mu-law; of an extensible header the tag that its sub-format stands for. */
  readonly formatTag: number;
  /** Where audio begins, bytes from the start of the file. */
  readonly dataOffset: number;
  /** What the header says; writers that can't seek put 0 or 0xffffffff here. */
  readonly dataBytes: number;
}

type Format = Omit<WavHeader, 'dataOffset' | 'dataBytes'>;

/**
 * Reads the header, skipping chunks it doesn't know.
 *
 * @param bytes - the beginning of the file, at least up to the head of its `data` chunk
 * @throws ReelayError `wav_invalid`
 */
export function readWavHeader(bytes: Uint8Array): WavHeader {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (textAt(view, 0) !== 'RIFF' || textAt(view, 8) !== 'WAVE') throw invalid('no RIFF/WAVE at the start');
  let format: Format | undefined;
  let offset = 12;
  while (offset + 8 <= view.length) {
    const id = textAt(view, offset);
    const size = view.readUInt32LE(offset + 4);
    const body = offset + 8;
    if (id === 'fmt ') format = readFormat(view.subarray(body, body + size));
    if (id === 'data') {
      if (format === undefined) throw invalid('data before the format');
      return { ...format, dataOffset: body, dataBytes: size };
    }
    // Chunks begin at even offsets: an odd one is followed by a byte that its size doesn't count.
    offset = body + size + (size & 1);
  }
  throw invalid(`no data chunk in the first ${view.length} bytes`);
}

function readFormat(body: Buffer): Format {
  if (body.length < 16) throw invalid(`a format of ${body.length} bytes`);
  const format = {
    formatTag: formatTagOf(body),
    channels: body.readUInt16LE(2),
    sampleRate: body.readUInt32LE(4),
    bitsPerSample: body.readUInt16LE(14),
  };
  if (format.channels === 0 || format.sampleRate === 0) {
    throw invalid(`${format.channels} channels at ${format.sampleRate} Hz`);
  }
  return format;
}

/** An extensible format keeps the real tag in the first two bytes of its sub-format's GUID. */
function formatTagOf(body: Buffer): number {
  const tag = body.readUInt16LE(0);
  return tag === WavFormat.extensible && body.length >= 40 ? body.readUInt16LE(24) : tag;
}

function textAt(view: Buffer, offset: number): string {
  return view.toString('latin1', offset, offset + 4);
}

function invalid(value: string): ReelayError {
  return new ReelayError('wav_invalid', { value });
}
