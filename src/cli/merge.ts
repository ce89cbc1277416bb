import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Command } from 'commander';
import { readWavHeader, wavHeader, wavHeaderBytes } from '../audio/wav.js';
import { ReelayError } from '../config/ReelayError.js';
import type { ChunkOnDisk, RecordingFolder, RecordingOnDisk } from '../spool/RecordingFolder.js';
import { verify } from '../spool/Verification.js';
import {
  exitCodeOf,
  locateRecordings,
  type Output,
  type SearchedFolders,
  takesRecordings,
} from './recordingTarget.js';

export interface MergeOptions extends SearchedFolders {
  readonly output: string;
  readonly force?: boolean;
}

export interface Merged {
  readonly path: string;
  /** Per channel. */
  readonly samples: number;
  readonly sampleRate: number;
  readonly channels: number;
  readonly durationSeconds: number;
}

/** `reelay merge`: exit 0 when the file is written, 2 with one line when not. */
export function mergeCommand(): Command {
  return takesRecordings(new Command('merge'))
    .description('writes one WAV from the chunks of a recording')
    .requiredOption('-o, --output <file.wav>', 'file to write; replaced if it is there')
    .option(
      '--force',
      'merges what there is of a recording that does not verify, with silence for missing chunks',
    )
    .action(async (target: string, options: MergeOptions) => {
      process.exitCode = await runMerge(target, options);
    });
}

/** @returns the exit code */
export async function runMerge(
  target: string,
  options: MergeOptions,
  output: Output = process.stdout,
  errors: Output = process.stderr,
): Promise<number> {
  return await exitCodeOf(async () => {
    const folder = oneOf(await locateRecordings(target, options), target);
    const merged = await mergeRecording(folder, options.output, { force: options.force === true });
    output.write(`${merged.path}  ${merged.durationSeconds.toFixed(3)} s\n`);
    return 0;
  }, errors);
}

/**
 * Writes one WAV from a recording's chunks. The audio streams from file to file; the output appears under its name only when
 * it is whole.
 *
 * @param options - `force`: also a recording that doesn't verify, chunks as they lie, missing audio as silence
 * @throws ReelayError `verify_failed`, `recording_empty`, `output_invalid`; `wav_too_long` past 4 GiB
 */
export async function mergeRecording(
  folder: RecordingFolder,
  output: string,
  options: { readonly force: boolean } = { force: false },
): Promise<Merged> {
  const recording = await folder.read();
  if (!options.force) requireWhole(recording);
  const { sampleRate, channels } = formatOf(recording);
  const pieces = recording.chunks.map((chunk) => pieceOf(chunk, recording, channels * 2));
  requireOther(output, pieces);
  const bytes = pieces.reduce((sum, piece) => sum + piece.bytes, 0);
  if (bytes === 0) throw new ReelayError('recording_empty', { value: recording.recordingId });
  const samples = bytes / (channels * 2);
  await writeWhole(output, wavHeader({ sampleRate, channels, samples }), pieces);
  return { path: output, samples, sampleRate, channels, durationSeconds: samples / sampleRate };
}

/** The audio of one chunk: so many bytes, from a file as far as it reaches, then silence. */
interface Piece {
  readonly path: string | null;
  readonly bytes: number;
}

function oneOf(found: readonly RecordingFolder[], target: string): RecordingFolder {
  const [folder] = found;
  if (folder !== undefined && found.length === 1) return folder;
  const ids = found.map((each) => each.recordingId).join(', ');
  throw new ReelayError('target_ambiguous', { value: target, remedy: `Choose one of ${ids}.` });
}

function requireWhole(recording: RecordingOnDisk): void {
  const codes = [...new Set(verify(recording).map((finding) => finding.code))];
  if (codes.length === 0) return;
  const remedy = 'See `reelay verify`; --force merges what there is.';
  throw new ReelayError('verify_failed', { value: `${recording.recordingId} (${codes.join(', ')})`, remedy });
}

function requireOther(output: string, pieces: readonly Piece[]): void {
  if (!pieces.some((piece) => piece.path !== null && resolve(piece.path) === resolve(output))) return;
  throw new ReelayError('output_invalid', { value: output, remedy: 'It is a chunk of this very recording.' });
}

function formatOf(recording: RecordingOnDisk): { readonly sampleRate: number; readonly channels: number } {
  const manifest = recording.manifest?.value;
  if (manifest) return { sampleRate: manifest.sampleRate, channels: manifest.channels.length };
  const wav = recording.chunks.find((chunk) => chunk.wav !== null)?.wav;
  if (!wav) throw new ReelayError('recording_empty', { value: recording.recordingId });
  return readWavHeader(wav.header);
}

function pieceOf(chunk: ChunkOnDisk, recording: RecordingOnDisk, frameBytes: number): Piece {
  const listed = recording.manifest?.value?.chunks.find((entry) => entry.index === chunk.index);
  const there = Math.max(0, (chunk.wav?.bytes ?? 0) - wavHeaderBytes);
  const bytes = listed === undefined ? there - (there % frameBytes) : listed.samples * frameBytes;
  return { path: chunk.wav?.path ?? null, bytes };
}

async function writeWhole(output: string, header: Uint8Array, pieces: readonly Piece[]): Promise<void> {
  const temporary = `${output}.tmp`;
  try {
    await pipeline(audioOf(header, pieces), createWriteStream(temporary));
    await rename(temporary, output);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new ReelayError('output_invalid', {
      value: output,
      remedy: (error as Error).message,
      cause: error,
    });
  }
}

const silence = Buffer.alloc(1 << 16);

async function* audioOf(header: Uint8Array, pieces: readonly Piece[]): AsyncGenerator<Uint8Array> {
  yield header;
  for (const { path, bytes } of pieces) {
    let left = bytes;
    if (path !== null && bytes > 0) {
      const range = { start: wavHeaderBytes, end: wavHeaderBytes + bytes - 1, highWaterMark: 1 << 18 };
      for await (const part of createReadStream(path, range) as AsyncIterable<Buffer>) {
        left -= part.length;
        yield part;
      }
    }
    for (; left > 0; left -= silence.length) yield silence.subarray(0, left);
  }
}
