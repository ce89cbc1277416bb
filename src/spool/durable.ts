import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * The one way in which a file of the spool becomes final: written beside its place, synced, renamed into it, and the folder
 * synced. After a crash at any moment the name holds either the old content or the new one, never a part.
 *
 * @throws the file system's error, for example `ENOSPC`; the file that was there before is untouched then
 */
export function writeDurably(path: string, data: Uint8Array | string): void {
  const temporary = `${path}.tmp`;
  const file = openSync(temporary, 'w');
  try {
    writeWhole(file, typeof data === 'string' ? Buffer.from(data) : data);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  syncFolder(dirname(path));
}

/** Makes a file that was written in place final under its own name: synced, renamed, folder synced. */
export function renameDurably(from: string, to: string): void {
  const file = openSync(from, 'r+');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(from, to);
  syncFolder(dirname(to));
}

/** Makes the names in a folder survive a loss of power. */
export function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** `write(2)` may write less than it was given, for example on a disk that is nearly full. */
export function writeWhole(file: number, data: Uint8Array, position: number | null = null): void {
  let done = 0;
  while (done < data.length) {
    done += writeSync(file, data, done, data.length - done, position === null ? null : position + done);
  }
}

/** {@link writeDurably} for a thread that has others to answer while the disk takes its time. */
export async function writeDurablyBehind(path: string, data: Uint8Array | string): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = await open(temporary, 'w');
  try {
    await file.writeFile(data);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncFolderBehind(dirname(path));
}

/** {@link syncFolder}, likewise. */
export async function syncFolderBehind(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
