import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { renameDurably, writeDurably } from '../spool/durable.js';
import { filePieces } from '../spool/filePieces.js';
import { chunkName, sidecarName } from '../spool/layout.js';
import type { ManifestChunk, Sidecar, SidecarLane } from '../spool/Manifest.js';
import type { Quarantine } from '../spool/Quarantine.js';
import { chunkSaidBy } from '../spool/readDocument.js';
import type { ClosedLane } from './LaneFiles.js';
import type { SidecarFacts } from './sidecarFactsOf.js';

/** A grown chunk, complete and closed. */
export interface ClosedChunk {
  readonly path: string;
  /** Of a room; null for any other call. */
  readonly lanes: readonly ClosedLane[] | null;
}

/**
 * Seals a chunk: makes its file final under its name, and its sidecar after it, so that a sidecar never speaks of
 * audio that isn't there.
 *
 * @param quarantine - where audio goes that lies under its name already and is other audio
 */
export async function sealChunk(
  folder: string,
  { path: openPath, lanes }: ClosedChunk,
  facts: SidecarFacts,
  quarantine?: Quarantine,
): Promise<{ readonly sidecar: Sidecar; readonly chunk: ManifestChunk }> {
  const sealedLanes: SidecarLane[] = [];
  for (const { path, gaps, ...lane } of lanes ?? []) {
    const sum = await seal(path, join(folder, chunkName(facts.index, lane.lane)), quarantine);
    sealedLanes.push({ ...lane, ...sum, gaps });
  }
  const sum = await seal(openPath, join(folder, chunkName(facts.index)), quarantine);
  const { previousSha256, ...rest } = facts;
  const ofRoom = lanes === null ? {} : { lanes: sealedLanes };
  const sidecar: Sidecar = { ...rest, ...sum, previousSha256, ...ofRoom };
  const text = JSON.stringify(sidecar, null, 2) + '\n';
  await writeDurably(join(folder, sidecarName(facts.index)), text);
  const sidecarSha256 = createHash('sha256').update(text).digest('hex');
  return { sidecar, chunk: chunkSaidBy(sidecar, sidecarSha256) };
}

/** Gives a file its name for good. @returns what it holds */
async function seal(
  openPath: string,
  path: string,
  quarantine: Quarantine | undefined,
): Promise<{ bytes: number; sha256: string }> {
  if (quarantine !== undefined && (await isOther(path, openPath)))
    quarantine.setAside(path, 'another chunk is sealed in its place');
  await renameDurably(openPath, path).catch((error: unknown) => {
    // An earlier try got as far as renaming it.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  });
  return await measure(path);
}

/** After a crash between a seal and its checkpoint the same chunk is made once more. Anything else has come there in some other way. */
async function isOther(path: string, openPath: string): Promise<boolean> {
  const sealed = await measureIfThere(path);
  const made = sealed === null ? null : await measureIfThere(openPath);
  return sealed !== null && made !== null && sealed.sha256 !== made.sha256;
}

/** Null where there is no file, perhaps since a moment ago: one that is stored leaves the spool. */
async function measureIfThere(path: string): Promise<{ bytes: number; sha256: string } | null> {
  return await measure(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  });
}

/** Piece by piece: an hour of audio at once would hold this thread up for longer than its heartbeat may stay away. */
async function measure(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of filePieces(path)) {
    hash.update(piece);
    bytes += piece.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}
