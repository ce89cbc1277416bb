import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { daemonsFolder, quarantineFolder } from '../../spool/layout.js';

export interface FileInSpool {
  readonly name: string;
  readonly bytes: number;
  /** ms since the Unix epoch. */
  readonly mtimeMs: number;
}

export interface FolderInSpool {
  /** Below the spool, with forward slashes; '' for the spool itself. */
  readonly folder: string;
  readonly files: readonly FileInSpool[];
  readonly isEmpty: boolean;
}

/**
 * A folder of the spool and all below it, journals included. What goes meanwhile is left out, and so is what is set aside or lies
 * deeper than anything that reelay makes: nobody counts or sweeps there.
 */
export async function* spoolFolders(spoolDir: string, below = ''): AsyncGenerator<FolderInSpool> {
  const waiting = [below];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    const entries = await readdir(join(spoolDir, folder), { withFileTypes: true }).catch(() => undefined);
    if (entries === undefined) continue;
    const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
    const files: FileInSpool[] = [];
    for (let at = 0; at < names.length; at += statsAtOnce) {
      const some = names.slice(at, at + statsAtOnce);
      const stats = some.map(async (name) => await fileOf(join(spoolDir, folder), name));
      files.push(...(await Promise.all(stats)).flat());
    }
    yield { folder, files, isEmpty: entries.length === 0 };
    for (const entry of entries) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory() && path !== aside && path.split('/').length <= deepest) waiting.push(path);
    }
  }
}

const aside = `${daemonsFolder}/${quarantineFolder}`;
/** `.reelay/<daemon>/adopted/<daemon>/journal`. */
const deepest = 5;

/** The pool that asks the disk is everybody's. */
const statsAtOnce = 4;

async function fileOf(path: string, name: string): Promise<FileInSpool[]> {
  const found = await stat(join(path, name)).catch(() => undefined);
  return found === undefined ? [] : [{ name, bytes: found.size, mtimeMs: found.mtimeMs }];
}
