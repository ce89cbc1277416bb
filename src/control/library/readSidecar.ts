import { join } from 'node:path';
import { sidecarName } from '../../spool/layout.js';
import { odd, readPlain } from '../../spool/plainFile.js';
import { readSmall } from '../../storage/readSmall.js';
import { readSpooled } from '../../storage/SpooledRecording.js';
import type { Whereabouts } from '../rendition/AudioSnapshot.js';

/** Larger ones are somebody else's. A sidecar of a chunk with thousands of gaps has a tenth of it. */
const mostBytes = 2 ** 20;

/**
 * A chunk's sidecar from spool or store, as it was written; looked for twice, since it may be moved from the one to the other meanwhile.
 *
 * @returns null where there is none, or a file that is no sidecar for its size
 * @throws the store's own error
 */
export async function readSidecar(
  { spoolDir, folder, store }: Whereabouts,
  index: number,
): Promise<string | null> {
  const name = sidecarName(index);
  for (let look = 0; look < 2; look++) {
    const spooled = await readPlain(join(spoolDir, folder, name), mostBytes).catch(() => undefined);
    if (spooled !== undefined && spooled !== odd) return spooled.toString();
    const place = await store();
    const stored = place && (await readSmall(place, `${folder}/${name}`, mostBytes));
    if (stored !== null) return stored.toString();
    if ((await readSpooled(spoolDir, folder)) === undefined) return null;
  }
  return null;
}
