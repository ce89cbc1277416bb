import { createHash } from 'node:crypto';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ReelayError } from '../config/ReelayError.js';
import { filePieces } from '../spool/filePieces.js';
import { chunkName, sidecarName } from '../spool/layout.js';
import type { Quarantine } from '../spool/Quarantine.js';
import type { UploadNote } from './UploadNote.js';

/**
 * A recorder that was killed before it had noted a seal makes the same chunk again, perhaps while the first one is being
 * stored; what is stored in these very bytes goes.
 *
 * @param quarantine - where files go that hold other bytes
 * @returns the names of what is gone
 * @throws ReelayError `checksum_mismatch`
 */
export async function dropStored(
  path: string,
  names: readonly string[],
  { chunks }: UploadNote,
  quarantine?: Quarantine,
): Promise<string[]> {
  const stored = chunks.filter(({ sidecarStored }) => sidecarStored);
  const files = stored.flatMap(
    ({ index, sha256, sidecarSha256, lanes = [], lanesStored = [] }): [string, string][] => [
      [chunkName(index), sha256],
      [sidecarName(index), sidecarSha256],
      ...lanes
        .filter(({ lane }) => lanesStored.includes(lane))
        .map(({ lane, sha256: sum }): [string, string] => [chunkName(index, lane), sum]),
    ],
  );
  const here = files.filter(([name]) => names.includes(name));
  for (const [name, sha256] of here) {
    const file = join(path, name);
    await unlinkConfirmed(file, sha256).catch((error: unknown) => {
      if (quarantine?.setAside(file, 'its recording is stored with other bytes') !== true) throw error;
    });
  }
  return here.map(([name]) => name);
}

/**
 * Removes a file that was confirmed before a restart, if it still is what was confirmed.
 *
 * @throws ReelayError `checksum_mismatch`
 */
export async function unlinkConfirmed(path: string, sha256: string): Promise<void> {
  const found = await hashOf(filePieces(path));
  if (found !== sha256) throw new ReelayError('checksum_mismatch', { value: path });
  await unlink(path);
}

/** SHA-256, hex. */
export async function hashOf(stream: AsyncIterable<Buffer | string>): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of stream) hash.update(piece);
  return hash.digest('hex');
}
