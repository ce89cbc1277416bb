import { createHash } from 'node:crypto';
import type { ZodType } from 'zod';
import { recordingFolder } from './layout.js';
import type { ManifestChunk, Sidecar } from './Manifest.js';
import { odd, readPlain } from './plainFile.js';

/** What a name of ours holds. */
export type FoundDocument<T> =
  | { readonly state: 'missing' }
  /** It is something else, of another version, or damaged. */
  | { readonly state: 'unreadable' }
  /** `sha256`: hex, of the file's bytes. */
  | { readonly state: 'read'; readonly value: T; readonly sha256: string };

/**
 * A document of a recording's folder.
 *
 * @throws the file system's error, such as `EMFILE`: what can't be read for now must not be taken for damaged
 */
export async function readDocument<T>(path: string, schema: ZodType<T>): Promise<FoundDocument<T>> {
  const bytes = await readPlain(path);
  if (bytes === undefined) return { state: 'missing' };
  if (bytes === odd) return { state: 'unreadable' };
  try {
    const value = schema.parse(JSON.parse(bytes.toString()));
    return { state: 'read', value, sha256: createHash('sha256').update(bytes).digest('hex') };
  } catch {
    return { state: 'unreadable' };
  }
}

/** Where a document says that its recording begins: a manifest at its own start, a sidecar further on. */
export function folderSaidBy(document: {
  readonly accountId: string;
  readonly callId: string;
  readonly recordingId: string;
  readonly startTime: string;
  readonly sampleRate: number;
  readonly startSample?: number;
}): string | null {
  const { startSample = 0, sampleRate, startTime } = document;
  try {
    const startMs = Math.round(Date.parse(startTime) - (startSample / sampleRate) * 1000);
    return recordingFolder({ ...document, startMs });
  } catch {
    return null;
  }
}

/**
 * What a manifest lists of a chunk, from its sidecar.
 *
 * @param sidecarSha256 - hex, of the sidecar's bytes
 */
export function chunkSaidBy(sidecar: Sidecar, sidecarSha256: string): ManifestChunk {
  const { index, startSample, samples, bytes, sha256, lanes } = sidecar;
  const chunk = { index, startSample, samples, bytes, sha256, sidecarSha256 };
  if (lanes === undefined) return chunk;
  return { ...chunk, lanes: lanes.map(({ lane, bytes, sha256 }) => ({ lane, bytes, sha256 })) };
}
