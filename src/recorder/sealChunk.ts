import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renameDurably, writeDurably } from '../spool/durable.js';
import { chunkName, sidecarName } from '../spool/layout.js';
import type { ManifestChunk, Sidecar } from '../spool/Manifest.js';

/**
 * Seals a chunk: hashes its file, makes it final under its name, and its sidecar after it, so that a sidecar never speaks of
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
  const audio = await readFile(openPath).catch((error: unknown) => {
    // An earlier try got as far as renaming it.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  });
  if (audio !== null) await renameDurably(openPath, path);
  const content = audio ?? (await readFile(path));
  const { previousSha256, ...rest } = facts;
  const sidecar: Sidecar = { ...rest, bytes: content.length, sha256: sha256(content), previousSha256 };
  const text = JSON.stringify(sidecar, null, 2) + '\n';
  await writeDurably(join(folder, sidecarName(facts.index)), text);
  const { index, startSample, samples, bytes } = sidecar;
  const chunk = { index, startSample, samples, bytes, sha256: sidecar.sha256, sidecarSha256: sha256(text) };
  return { sidecar, chunk };
}

function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}
