import { rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ReelayError } from '../config/ReelayError.js';
import { syncFolder } from '../spool/durable.js';
import { manifestName, signatureName, uploadName } from '../spool/layout.js';
import type { Quarantine } from '../spool/Quarantine.js';
import { portalFileName, portalTemporarySuffix } from './renderPortal.js';
import type { SpooledRecording } from './SpooledRecording.js';
import { dropStored } from './unlinkConfirmed.js';

/** The manifest as it goes into the store, kept beside the recorder's until the store has confirmed it. */
export const finalName = 'manifest.final.json';

/** Every name that control or recorder leave in a folder whose chunks have all gone. */
const ownNames: readonly string[] = [
  manifestName,
  finalName,
  signatureName,
  uploadName,
  portalFileName('mp3'),
  portalFileName('wav'),
];
/** What an interrupted writing leaves. */
const temporary: readonly string[] = ['.tmp', portalTemporarySuffix];

/**
 * Removes the folder of a recording that the store has whole. What nobody confirmed is set aside.
 *
 * @param quarantine - undefined: what nobody confirmed keeps its place
 * @throws ReelayError `spool_leftover`, `checksum_mismatch`
 */
export async function removeFinished(
  spoolDir: string,
  { folder, path, names, note }: SpooledRecording,
  quarantine?: Quarantine,
): Promise<void> {
  const dropped = await dropStored(path, names, note, quarantine);
  const mine = names.filter((name) => ownNames.includes(name) || temporary.some((end) => name.endsWith(end)));
  const left = names.filter((name) => !mine.includes(name) && !dropped.includes(name));
  const moved = left.filter((name) =>
    quarantine?.setAside(join(path, name), 'its recording is stored without it'),
  );
  if (left.length > moved.length)
    throw new ReelayError('spool_leftover', { value: `${folder}: ${left.join(', ')}` });
  // The note goes last, and when the rest is gone for good: as long as it is there, a start after a crash comes back here.
  for (const name of mine.filter((each) => each !== uploadName))
    await unlink(join(path, name)).catch(ignoreMissing);
  await syncFolder(path);
  await unlink(join(path, uploadName)).catch(ignoreMissing);
  await removeEmpty(spoolDir, path);
}

/** The folder, and those above it that are empty now. The recorder may make the same ones anew at any moment. */
async function removeEmpty(spoolDir: string, path: string): Promise<void> {
  for (let at = path; at !== spoolDir && at !== dirname(at); at = dirname(at)) {
    try {
      await rmdir(at);
    } catch {
      return;
    }
  }
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
