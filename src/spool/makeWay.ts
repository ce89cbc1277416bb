import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isRecordingName } from './layout.js';
import type { Quarantine } from './Quarantine.js';

/**
 * Sees to it that a recording can have its folder and its files: what lies in the way is set aside. In the way is whatever
 * isn't a folder where one has to be (a link to one neither: it may lead out of the spool), and under a recording's own names
 * whatever isn't a plain file. Everything else is somebody's, and hinders nobody.
 *
 * @param folder - of the recording, below the spool; need not be there
 * @throws the file system's error
 */
export function makeWay(quarantine: Quarantine, spoolDir: string, folder: string): void {
  let path = spoolDir;
  for (const part of folder.split('/')) {
    path = join(path, part);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) return;
    if (found.isDirectory()) continue;
    quarantine.setAside(path, 'it lay where a folder of recordings belongs');
    return;
  }
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (!entry.isFile() && isRecordingName(entry.name))
      quarantine.setAside(join(path, entry.name), 'it is not a plain file, as its name says');
}
