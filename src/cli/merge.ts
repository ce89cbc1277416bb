import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Command } from 'commander';
import {
  readWavHeader,
  wavHeader,
  wavHeaderBytes,
  type WavShape,
  wholeHeaderBytes,
  wholeWavHeader,
} from '../audio/wav.js';
import { ReelayError } from '../config/ReelayError.js';
import { chunkName } from '../spool/layout.js';
import {
  type AudioOnDisk,
  type ChunkOnDisk,
  type RecordingFolder,
  type RecordingOnDisk,
  wholeAudioFile,
} from '../spool/RecordingFolder.js';
import { verify } from '../spool/Verification.js';
import { patiently } from './patiently.js';
import { exitCodeOf, type Output, takesRecordings, withRecordings } from './recordingTarget.js';
import type { SearchOptions } from './SearchedPlaces.js';

export interface MergeOptions extends SearchOptions {
  readonly output: string;
  readonly force?: boolean;
  /** Of a room: one lane alone. */
  readonly lane?: string;
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
    .option('--lane <name>', 'of a room: one participant alone, as its manifest names the lane')
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
    const { force = false, lane } = options;
    const merged = await withRecordings(target, options, async (found) => {
      const folder = oneOf(found, target);
      return await patiently(() => mergeRecording(folder, options.output, { force, lane }));
    });
    output.write(`${merged.path}  ${merged.durationSeconds.toFixed(3)} s\n`);
    return 0;
  }, errors);
}

/**
 * Writes one WAV from a recording's chunks, or from the object that holds the whole call. The audio streams from file to file;
 * the output appears under its name only when it is whole. Past 4 GiB it is RF64.
 *
 * @param options - `force`: also a recording that doesn't verify, audio as it lies, missing audio as silence. `lane`: of a room, one lane
 *   alone, as long as the recording
 * @throws ReelayError `verify_failed`, `recording_empty`, `output_invalid`; what a bucket throws
 */
export async function mergeRecording(
  folder: RecordingFolder,
  output: string,
  options: { readonly force: boolean; readonly lane?: string | undefined } = { force: false },
): Promise<Merged> {
  const recording = await folder.read();
  if (!options.force) requireWhole(recording);
  requireOther(output, recording);
  const { lane } = options;
  const format = formatOf(recording);
  const { sampleRate } = format;
  const channels = lane === undefined ? format.channels : 1;
  const pieces = lane === undefined ? piecesOf(recording, channels * 2) : lanePiecesOf(recording, lane);
  const bytes = pieces.reduce((sum, piece) => sum + piece.bytes, 0);
  if (bytes === 0) throw new ReelayError('recording_empty', { value: recording.recordingId });
  const samples = bytes / (channels * 2);
  await writeWhole(output, headerOf({ sampleRate, channels, samples }), folder, pieces);
  return { path: output, samples, sampleRate, channels, durationSeconds: samples / sampleRate };
}

/** The audio of one chunk: so many bytes, from a file as far as it reaches, then silence. */
interface Piece {
  /** As {@link RecordingFolder.open} has it; null for silence alone. */
  readonly name: string | null;
  /** Where in the file the audio begins, bytes. */
  readonly start: number;
  /** What the file has of it. */
  readonly there: number;
  readonly bytes: number;
}

/** RIFF counts all but its first 8 bytes in 32 bits. */
function headerOf(shape: WavShape): Uint8Array {
  const isLong = wavHeaderBytes - 8 + shape.samples * shape.channels * 2 > 0xffff_ffff;
  return isLong ? wholeWavHeader(shape) : wavHeader(shape);
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

function requireOther(output: string, { chunks }: RecordingOnDisk): void {
  const wavs = chunks.flatMap(({ wav, lanes = [] }) => [wav, ...lanes.map((each) => each.wav)]);
  if (!wavs.some((wav) => wav !== null && resolve(wav.path) === resolve(output))) return;
  throw new ReelayError('output_invalid', { value: output, remedy: 'It is a chunk of this very recording.' });
}

function formatOf(recording: RecordingOnDisk): { readonly sampleRate: number; readonly channels: number } {
  const manifest = recording.manifest?.value;
  if (manifest) return { sampleRate: manifest.sampleRate, channels: manifest.channels.length };
  const wav = recording.chunks.find((chunk) => chunk.wav !== null)?.wav;
  if (!wav) throw new ReelayError('recording_empty', { value: recording.recordingId });
  return readWavHeader(wav.header);
}

/** A chunk's own file comes before the object of the whole call; neighbours in that are read as one. */
function piecesOf(recording: RecordingOnDisk, frameBytes: number): Piece[] {
  const manifest = recording.manifest?.value;
  const samplesOf = new Map(manifest?.chunks.map(({ index, samples }) => [index, samples]));
  const whole = recording.audio.find(({ said, found }) => said.format === 'wav' && found !== null);
  const pieces: Piece[] = [];
  let position = 0;
  for (const chunk of recording.chunks) {
    const samples = samplesOf.get(chunk.index);
    const { index, wav } = chunk;
    const piece =
      wav === null && whole !== undefined
        ? sliceOf(whole, recording, position, (samples ?? 0) * frameBytes)
        : fileOf(wav === null ? null : chunkName(index), wav, samples, frameBytes);
    position += piece.bytes;
    const last = pieces.at(-1);
    const goesOn =
      last?.name === piece.name && last.start + last.there === piece.start && last.there === last.bytes;
    if (goesOn) {
      const { name, start } = last;
      pieces[pieces.length - 1] = {
        name,
        start,
        there: last.there + piece.there,
        bytes: last.bytes + piece.bytes,
      };
    } else pieces.push(piece);
  }
  return pieces;
}

/** Where a lane has no file it said nothing. @throws ReelayError `recording_empty` for one that isn't there */
function lanePiecesOf(recording: RecordingOnDisk, lane: string): Piece[] {
  const { chunks = [], lanes = [] } = recording.manifest?.value ?? {};
  const samplesOf = new Map(chunks.map(({ index, samples }) => [index, samples]));
  if (!lanes.some((each) => each.lane === lane)) {
    const names = lanes.map((each) => each.lane).join(', ');
    const remedy = names === '' ? 'It has no lanes: leave out --lane.' : `Its lanes are ${names}.`;
    throw new ReelayError('recording_empty', { value: `${recording.recordingId}, lane ${lane}`, remedy });
  }
  return recording.chunks.map(({ index, lanes: there = [] }) => {
    const wav = there.find((each) => each.lane === lane)?.wav ?? null;
    return fileOf(wav === null ? null : chunkName(index, lane), wav, samplesOf.get(index), 2);
  });
}

/** @param name - of the file; null where there is none */
function fileOf(
  name: string | null,
  wav: ChunkOnDisk['wav'],
  samples: number | undefined,
  frameBytes: number,
): Piece {
  const audio = Math.max(0, (wav?.bytes ?? 0) - wavHeaderBytes);
  const bytes = samples === undefined ? audio - (audio % frameBytes) : samples * frameBytes;
  return { name, start: wavHeaderBytes, there: Math.min(audio, bytes), bytes };
}

function sliceOf(
  { said, found }: AudioOnDisk,
  recording: RecordingOnDisk,
  position: number,
  bytes: number,
): Piece {
  const manifest = recording.manifest?.value;
  const name = manifest ? wholeAudioFile(said.key, manifest) : null;
  const start = wholeHeaderBytes + position;
  return { name, start, there: Math.max(0, Math.min(bytes, (found?.bytes ?? 0) - start)), bytes };
}

async function writeWhole(
  output: string,
  header: Uint8Array,
  folder: RecordingFolder,
  pieces: readonly Piece[],
): Promise<void> {
  const temporary = `${output}.tmp`;
  try {
    await pipeline(audioOf(header, folder, pieces), createWriteStream(temporary));
    await rename(temporary, output);
  } catch (error) {
    await rm(temporary, { force: true });
    // A bucket's own trouble says more than that the output could not be written.
    if (error instanceof ReelayError) throw error;
    throw new ReelayError('output_invalid', {
      value: output,
      remedy: (error as Error).message,
      cause: error,
    });
  }
}

const silence = Buffer.alloc(1 << 16);

async function* audioOf(
  header: Uint8Array,
  folder: RecordingFolder,
  pieces: readonly Piece[],
): AsyncGenerator<Uint8Array> {
  yield header;
  for (const { name, start, there, bytes } of pieces) {
    let left = bytes;
    const stream =
      name === null || there === 0 ? null : await folder.open(name, { start, end: start + there - 1 });
    for await (const part of stream ?? []) {
      left -= part.length;
      yield part;
    }
    for (; left > 0; left -= silence.length) yield silence.subarray(0, left);
  }
}
