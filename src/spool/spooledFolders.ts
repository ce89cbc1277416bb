import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { daemonsFolder } from './layout.js';

/**
 * Every folder of the spool that is where a recording's belongs, relative to the spool. Daemons' own folders are left out, links
 * are not followed, and what can't be listed is empty.
 */
export async function* spooledFolders(spoolDir: string): AsyncGenerator<string> {
  for (const account of await foldersIn(spoolDir)) {
    if (account === daemonsFolder || account.startsWith('.')) continue;
    for (const date of await foldersIn(join(spoolDir, account)))
      for (const call of await foldersIn(join(spoolDir, account, date)))
        for (const recording of await foldersIn(join(spoolDir, account, date, call)))
          yield [account, date, call, recording].join('/');
  }
}

async function foldersIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}
