import { readdirSync, unlinkSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { deserialize, serialize } from 'node:v8';
import type { Gap, ManifestChunk } from '../spool/Manifest.js';
import { odd, readPlainHere } from '../spool/plainFile.js';
import type { GapsByLane } from './LaneFiles.js';
import type { TimelineState } from './timeline/TimelineState.js';

/**
 * Where a recording stood when a chunk of it was sealed. Rendering goes on from here after a restart, so the journal needs to
 * keep only what came later. One file per live recording, `<recordingId>.checkpoint`, replaced at every seal.
 *
 * A recording that is finished leaves a tombstone until the journal has forgotten it: without one, a restart that finds its
 * records would render it again.
 */
export interface Checkpoint {
  /** Of this format: 1. */
  readonly version: number;
  readonly recordingId: string;
  /** Number of the call in the tap. */
  readonly call: number;
  /** Sequence of the last record that is part of `recording`. */
  readonly sequence: number;
  /** Null: the recording is finished. */
  readonly recording: RecordingSnapshot | null;
}

export interface RecordingSnapshot {
  readonly timeline: TimelineState;
  /** First sample that is not in a sealed chunk. */
  readonly position: number;
  readonly channels: number;
  readonly chunks: readonly ManifestChunk[];
  readonly gaps: readonly Gap[];
  /** Of a room. */
  readonly laneGaps?: GapsByLane;
  /** When the first record of a recording that failed arrived, ms: the end's distance from it dates the end. */
  readonly failedMs?: number;
}

const extension = '.checkpoint';

export function checkpointPath(folder: string, recordingId: string): string {
  return join(folder, recordingId + extension);
}

/** `RC01`, CRC-32 of the rest, the rest in V8's own format, which believes whatever it reads. */
const magic = Buffer.from('RC01', 'latin1');

export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const content = serialize(checkpoint);
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(content));
  return Buffer.concat([magic, sum, content]);
}

/** @throws Error for what isn't a checkpoint of this version. Those of reelay 0.2 have no sum. */
export function decodeCheckpoint(bytes: Buffer): Checkpoint {
  const isSummed = bytes.subarray(0, magic.length).equals(magic);
  const content = isSummed ? bytes.subarray(magic.length + 4) : bytes;
  // V8 writes its own version first (0xff), whatever follows.
  if (!isSummed && content[0] !== 0xff) throw new Error('not a checkpoint');
  if (isSummed && (bytes.length < 8 || crc32(content) !== bytes.readUInt32LE(4)))
    throw new Error('wrong sum');
  const checkpoint = deserialize(content) as Checkpoint;
  if (checkpoint.version !== 1) throw new Error(`version ${String(checkpoint.version)}`);
  return checkpoint;
}

/**
 * Every checkpoint in a folder that can be read. Of a recording whose checkpoint can't be, the journal may have forgotten the
 * beginning; its records then find no recording, and {@link RecordingSet.strays} tells of them.
 */
export function readCheckpoints(folder: string, warn: (path: string, error: unknown) => void): Checkpoint[] {
  mkdirSync(folder, { recursive: true });
  const found: Checkpoint[] = [];
  for (const name of readdirSync(folder)) {
    if (!name.endsWith(extension)) continue;
    try {
      const bytes = readPlainHere(join(folder, name));
      if (bytes === odd) throw new Error('not a plain file');
      if (bytes === undefined) continue;
      const checkpoint = decodeCheckpoint(bytes);
      if (name !== checkpoint.recordingId + extension)
        throw new Error(`of recording ${checkpoint.recordingId}`);
      found.push(checkpoint);
    } catch (error) {
      warn(join(folder, name), error);
    }
  }
  return found;
}

export function deleteCheckpoint(folder: string, recordingId: string): void {
  unlinkSync(checkpointPath(folder, recordingId));
}
