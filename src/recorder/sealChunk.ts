import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { renameDurably, writeDurably } from '../spool/durable.js';
import { filePieces } from '../spool/filePieces.js';
import { chunkName, sidecarName } from '../spool/layout.js';
import type { ManifestChunk, Sidecar } from '../spool/Manifest.js';

/**
 * Seals a chunk: makes its file final under its name, and its sidecar after it, so that a sidecar never speaks of
 * audio that isn't there.
 *
 * @param openPath - the grown chunk, complete and closed
 */
export async function sealChunk(
  folder: string,
  openPath: string,
  facts: Omit<Sidecar, 'bytes' | 'sha256'>,
): Promise<{ readonly sidecar: Sidecar; readonly chunk: ManifestChunk }> {
  const path = join(folder, chunkName(facts.index));
  await renameDurably(openPath, path).catch((error: unknown) => {
    // An earlier try got as far as renaming it.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  });
  const { previousSha256, ...rest } = facts;
  const sidecar: Sidecar = { ...rest, ...(await measure(path)), previousSha256 };
  const text = JSON.stringify(sidecar, null, 2) + '\n';
  await writeDurably(join(folder, sidecarName(facts.index)), text);
  const { index, startSample, samples, bytes } = sidecar;
  const sidecarSha256 = createHash('sha256').update(text).digest('hex');
  const chunk = { index, startSample, samples, bytes, sha256: sidecar.sha256, sidecarSha256 };
  return { sidecar, chunk };
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
