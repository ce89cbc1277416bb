import { existsSync, readdirSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openExtension } from '../spool/layout.js';
import type { Quarantine } from '../spool/Quarantine.js';

/** Growing chunks of a former life that had come further than the recording does: every chunk is sealed by now. */
export async function removeLeftovers(folder: string): Promise<void> {
  const leftover = (await readdir(folder)).filter((name) => name.endsWith(openExtension));
  await Promise.all(leftover.map((name) => rm(join(folder, name), { force: true })));
}

/** Those of a former life whose journal is damaged may be all that is left of some audio. @throws the file system's error */
export function setAsideLeftovers(folder: string, quarantine: Quarantine): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder).filter((each) => each.endsWith(openExtension)))
    quarantine.setAside(join(folder, name), 'it grew while the journal, now damaged, was whole');
}
