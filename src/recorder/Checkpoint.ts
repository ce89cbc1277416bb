import { readFileSync, readdirSync, unlinkSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import type { Gap, ManifestChunk } from '../spool/Manifest.js';
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
  /** When the first record of a recording that failed arrived, ms: the end's distance from it dates the end. */
  readonly failedMs?: number;
}

const extension = '.checkpoint';

export function checkpointPath(folder: string, recordingId: string): string {
  return join(folder, recordingId + extension);
}

export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  return serialize(checkpoint);
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
      const checkpoint = deserialize(readFileSync(join(folder, name))) as Checkpoint;
      if (checkpoint.version !== 1) throw new Error(`version ${String(checkpoint.version)}`);
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
