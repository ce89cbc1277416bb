import { ReelayError } from '../config/ReelayError.js';

/*
 * WAV headers ("Multimedia Programming Interface and Data Specifications 1.0", IBM and Microsoft 1991, chapter 3; format
 * tags: RFC 2361; past 4 GiB: RF64, EBU Tech 3306). Pure: bytes in, values out.
 */

/** Size of the header that {@link wavHeader} makes: RIFF, `fmt ` of PCM and the head of `data`. */
export const wavHeaderBytes = 44;

/** Size of the header that {@link wholeWavHeader} makes: the above, and room for the 64-bit sizes of RF64. */
export const wholeHeaderBytes = 80;

/** Most audio behind {@link wavHeader}: sizes are unsigned 32-bit, and RIFF's counts everything after its first 8 bytes. */
export const maxDataBytes = 0xffff_ffff - (wavHeaderBytes - 8);

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
  const dataBytes = samples * channels * 2;
  if (dataBytes > maxDataBytes) {
    throw new ReelayError('wav_too_long', {
      value: dataBytes,
      remedy: 'Split the audio into several files.',
    });
  }
  const header = Buffer.alloc(wavHeaderBytes);
  writeHead(header, 0, 'RIFF', wavHeaderBytes - 8 + dataBytes);
  header.write('WAVE', 8, 'latin1');
  writeFormat(header, 12, sampleRate, channels);
  writeHead(header, 36, 'data', dataBytes);
  return header;
}

/** In a 32-bit size field of RF64: the size is in `ds64`. */
const seeDs64 = 0xffff_ffff;
/** Sizes of the file, the audio and its count of samples, 8 bytes each, and an empty table of other long chunks. */
const ds64Bytes = 28;

/**
 * The header of a PCM16 file that may grow beyond 4 GiB: always {@link wholeHeaderBytes} long, so that audio can be laid down
 * before its length is known. It is plain RIFF with a `JUNK` chunk in the place that `ds64` has in RF64, which it becomes as
 * soon as a size needs more than 32 bits (EBU Tech 3306, section 4).
 *
 * @throws ReelayError `wav_too_long` beyond 2^53 bytes
 */
export function wholeWavHeader({ sampleRate, channels, samples }: WavShape): Uint8Array {
  const dataBytes = samples * channels * 2;
  const riffBytes = wholeHeaderBytes - 8 + dataBytes;
  if (!Number.isSafeInteger(riffBytes + 8)) throw new ReelayError('wav_too_long', { value: dataBytes });
  const isLong = riffBytes >= seeDs64;
  const header = Buffer.alloc(wholeHeaderBytes);
  writeHead(header, 0, isLong ? 'RF64' : 'RIFF', isLong ? seeDs64 : riffBytes);
  header.write('WAVE', 8, 'latin1');
  writeHead(header, 12, isLong ? 'ds64' : 'JUNK', ds64Bytes);
  if (isLong)
    [riffBytes, dataBytes, samples].forEach((size, at) => header.writeBigUInt64LE(BigInt(size), 20 + 8 * at));
  writeFormat(header, 48, sampleRate, channels);
  writeHead(header, 72, 'data', isLong ? seeDs64 : dataBytes);
  return header;
}

function writeHead(header: Buffer, at: number, id: string, size: number): void {
  header.write(id, at, 'latin1');
  header.writeUInt32LE(size, at + 4);
}

/** A `fmt ` chunk of PCM16, 24 bytes. */
function writeFormat(header: Buffer, at: number, sampleRate: number, channels: number): void {
  const blockBytes = channels * 2;
  writeHead(header, at, 'fmt ', 16);
  header.writeUInt16LE(WavFormat.pcm, at + 8);
  header.writeUInt16LE(channels, at + 10);
  header.writeUInt32LE(sampleRate, at + 12);
  header.writeUInt32LE(sampleRate * blockBytes, at + 16);
  header.writeUInt16LE(blockBytes, at + 20);
  header.writeUInt16LE(16, at + 22);
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
  /** What the header says, of RF64 its `ds64`; writers that can't seek put 0 or 0xffffffff here. */
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
  const form = textAt(view, 0);
  if (!['RIFF', 'RF64'].includes(form) || textAt(view, 8) !== 'WAVE')
    throw invalid('neither RIFF/WAVE nor RF64/WAVE at the start');
  let format: Format | undefined;
  let longData: number | undefined;
  let offset = 12;
  while (offset + 8 <= view.length) {
    const id = textAt(view, offset);
    const size = view.readUInt32LE(offset + 4);
    const body = offset + 8;
    if (id === 'fmt ') format = readFormat(view.subarray(body, body + size));
    if (id === 'ds64' && form === 'RF64') longData = readLongData(view.subarray(body, body + size));
    if (id === 'data') {
      if (format === undefined) throw invalid('data before the format');
      if (form === 'RIFF' || size !== seeDs64) return { ...format, dataOffset: body, dataBytes: size };
      if (longData === undefined) throw invalid('RF64 without ds64 before its data');
      return { ...format, dataOffset: body, dataBytes: longData };
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

/** The size of `data` from the body of `ds64`. */
function readLongData(body: Buffer): number {
  if (body.length < ds64Bytes - 4) throw invalid(`a ds64 of ${body.length} bytes`);
  const bytes = Number(body.readBigUInt64LE(8));
  if (!Number.isSafeInteger(bytes)) throw invalid(`data of ${bytes} bytes`);
  return bytes;
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
