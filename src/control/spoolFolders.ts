import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

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

/** A folder of the spool and all below it, journals included. What goes meanwhile is left out. */
export async function* spoolFolders(spoolDir: string, folder = ''): AsyncGenerator<FolderInSpool> {
  const entries = await readdir(join(spoolDir, folder), { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return;
  const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  const files: FileInSpool[] = [];
  for (let at = 0; at < names.length; at += statsAtOnce) {
    const some = names.slice(at, at + statsAtOnce);
    files.push(...(await Promise.all(some.map((name) => fileOf(join(spoolDir, folder), name)))).flat());
  }
  yield { folder, files, isEmpty: entries.length === 0 };
  for (const entry of entries)
    if (entry.isDirectory())
      yield* spoolFolders(spoolDir, folder === '' ? entry.name : `${folder}/${entry.name}`);
}

/** The pool that asks the disk is everybody's. */
const statsAtOnce = 4;

async function fileOf(path: string, name: string): Promise<FileInSpool[]> {
  const found = await stat(join(path, name)).catch(() => undefined);
  return found === undefined ? [] : [{ name, bytes: found.size, mtimeMs: found.mtimeMs }];
}
