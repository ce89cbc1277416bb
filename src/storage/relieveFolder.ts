import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { chunkName } from '../spool/layout.js';
import { readSpooled } from './SpooledRecording.js';
import { unlinkConfirmed } from './unlinkConfirmed.js';

/**
 * Removes the WAVs of a recording that the store has as objects of their own.
 *
 * @returns bytes that were freed
 */
export async function relieveFolder(spoolDir: string, folder: string): Promise<number> {
  const recording = await readSpooled(spoolDir, folder);
  if (recording?.manifest?.layout !== 'both') return 0;
  let freed = 0;
  for (const { index, sha256 } of recording.note.chunks) {
    if (!recording.wavs.has(index)) continue;
    const path = join(recording.path, chunkName(index));
    // Somebody who is uploading it may be quicker, and what isn't what was confirmed stays.
    freed += await stat(path)
      .then(async ({ size }) => {
        await unlinkConfirmed(path, sha256);
        return size;
      })
      .catch(() => 0);
  }
  return freed;
}
