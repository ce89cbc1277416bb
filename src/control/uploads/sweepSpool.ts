import { rmdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { daemonsFolder, isRecordingName } from '../../spool/layout.js';
import { spoolFolders } from './spoolFolders.js';

/** Younger ones may be in use, ms. */
const leastAgeMs = 3_600_000;
/** What is written beside its place before it is renamed into it, or made to be stored at once. */
const temporary = /\.tmp$|^portal\.\w+\.part$/;

/**
 * Removes what a crash leaves between two steps and nobody misses: temporary files of recordings that are nobody's, and folders
 * without anything in them. A temporary file is a copy of something that is there, or was never promised to anybody.
 *
 * @param isKept - whether a folder still has its recorder, or is another daemon's
 * @param sinceMs - what is younger is in use: an `audio.wav` may wait for its store for hours. ms since the Unix epoch
 * @returns names of the files that went, below the spool
 */
export async function sweepSpool(
  spoolDir: string,
  isKept: (folder: string) => boolean,
  sinceMs: number,
): Promise<string[]> {
  const swept: string[] = [];
  const before = Math.min(sinceMs, Date.now() - leastAgeMs);
  for await (const { folder, files, isEmpty } of spoolFolders(spoolDir)) {
    // What lies elsewhere is somebody's.
    if (folder.split('/').length !== recordingDepth || folder.startsWith(`${daemonsFolder}/`)) continue;
    if (isKept(folder)) continue;
    for (const { name, mtimeMs } of files) {
      if (!temporary.test(name) || !isRecordingName(name) || mtimeMs > before) continue;
      const path = join(spoolDir, folder, name);
      await unlink(path).then(
        () => swept.push(`${folder}/${name}`),
        () => undefined,
      );
    }
    if (isEmpty) await removeOld(join(spoolDir, folder), before);
  }
  return swept;
}

/** `<account>/<date>/<call>/<recording>`. */
const recordingDepth = 4;

/** With anything in it, it stays. */
async function removeOld(folder: string, before: number): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found !== undefined && found.mtimeMs < before) await rmdir(folder).catch(() => undefined);
}
