import { createHash } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { chunkName, sidecarName } from '../spool/layout.js';
import type { ManifestChunk, Sidecar } from '../spool/Manifest.js';

/**
 * The one way in which a file of the spool becomes final, off the recorder's own thread: written beside its place, synced,
 * renamed into it, and the folder synced. After a crash at any moment the name holds either the old content or the new one.
 *
 * @throws the file system's error, for example `ENOSPC`; the file that was there before is untouched then
 */
export async function sealFile(
  path: string,
  content: Uint8Array | string | { readonly from: string },
): Promise<void> {
  const written = typeof content === 'object' && 'from' in content;
  const source = written ? content.from : `${path}.tmp`;
  const file = await open(source, written ? 'r+' : 'w');
  try {
    if (!written) await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(source, path);
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

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
  if (audio !== null) await sealFile(path, { from: openPath });
  const content = audio ?? (await readFile(path));
  const { previousSha256, ...rest } = facts;
  const sidecar: Sidecar = { ...rest, bytes: content.length, sha256: sha256(content), previousSha256 };
  const text = JSON.stringify(sidecar, null, 2) + '\n';
  await sealFile(join(folder, sidecarName(facts.index)), text);
  const { index, startSample, samples, bytes } = sidecar;
  const chunk = { index, startSample, samples, bytes, sha256: sidecar.sha256, sidecarSha256: sha256(text) };
  return { sidecar, chunk };
}

function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}
