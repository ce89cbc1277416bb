import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { sidecarName } from '../../spool/layout.js';
import type { ObjectStore } from '../../storage/ObjectStore.js';
import { readSpooled } from '../../storage/SpooledRecording.js';
import type { Whereabouts } from '../rendition/AudioSnapshot.js';

/**
 * A chunk's sidecar from spool or store, as it was written; looked for twice, since it may be moved from the one to the other meanwhile.
 *
 * @returns null where there is none
 * @throws the store's own error
 */
export async function readSidecar(
  { spoolDir, folder, store }: Whereabouts,
  index: number,
): Promise<string | null> {
  const name = sidecarName(index);
  for (let look = 0; look < 2; look++) {
    const spooled = await readFile(join(spoolDir, folder, name), 'utf8').catch(() => null);
    if (spooled !== null) return spooled;
    const stored = await readObject(await store(), `${folder}/${name}`);
    if (stored !== null) return stored;
    if ((await readSpooled(spoolDir, folder)) === undefined) return null;
  }
  return null;
}

async function readObject(store: ObjectStore | null, key: string): Promise<string | null> {
  if (store === null || (await store.size(key)) === null) return null;
  return (await buffer(await store.read(key))).toString();
}
