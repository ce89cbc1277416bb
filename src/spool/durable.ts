import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * The one way in which a file becomes final: written beside its place, synced, renamed into it, and the folder synced. After a
 * crash at any moment the name holds either the old content or the new one, never a part. The disk is waited for off the
 * thread, which has others to answer.
 *
 * @throws the file system's error, for example `ENOSPC`; the file that was there before is untouched then
 */
export async function writeDurably(path: string, data: Uint8Array | string): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = await open(temporary, 'w');
  try {
    await file.writeFile(data);
    await file.sync();
  } catch (error) {
    // A part of it would hold blocks on a disk that has none.
    await unlink(temporary).catch(() => undefined);
    throw error;
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

/** The same for a file that has grown under another name. */
export async function renameDurably(from: string, to: string): Promise<void> {
  const file = await open(from, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(from, to);
  await syncFolder(dirname(to));
}

/** Makes the names in a folder survive a loss of power. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** {@link syncFolder}, waited for on this thread. */
export function syncFolderHere(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/**
 * Makes a folder and those above it that aren't there, so that their names survive a loss of power. Where the folder is there
 * already, its own name is made safe all the same: whoever made it may have been killed before.
 */
export function makeFolderHere(path: string): void {
  const first = mkdirSync(path, { recursive: true }) ?? path;
  for (let made = path; ; made = dirname(made)) {
    try {
      syncFolderHere(dirname(made));
    } catch (error) {
      if (made.length > first.length || !isForbidden(error)) throw error;
    }
    if (made.length <= first.length || made === dirname(made)) return;
  }
}

/** Nobody who may not read a folder has made anything in it. */
export function isForbidden(error: unknown): boolean {
  return ['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** `write(2)` may write less than it was given, for example on a disk that is nearly full. */
export function writeWhole(file: number, data: Uint8Array, position: number | null = null): void {
  let done = 0;
  while (done < data.length) {
    done += writeSync(file, data, done, data.length - done, position === null ? null : position + done);
  }
}
