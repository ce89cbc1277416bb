import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';

/**
 * Reading files whose names are ours, in folders into which others can put anything: a pipe would be waited for without end when
 * it is opened, a link leads anywhere, and a file may be larger than memory.
 */
const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

/** Larger documents are nobody's: an hour of call with a chunk a second has a manifest of 1 MiB. */
const mostDocumentBytes = 64 * 2 ** 20;

/** What may be said by an open that is refused because of what lies there, and not of how the machine is. */
const oddCodes: readonly (string | undefined)[] = [
  'ELOOP',
  'ENXIO',
  'EISDIR',
  'ENOTDIR',
  'ENODEV',
  'EOPNOTSUPP',
];

/** There is something, and it isn't a file that can be read. */
export const odd = Symbol('odd');

/**
 * @param mostBytes - larger ones are {@link odd}
 * @returns undefined when there is no such file, {@link odd} when it is no plain file, or too large for a document
 * @throws any other error of the file system, such as `EMFILE` or `EIO`
 */
export async function readPlain(
  path: string,
  mostBytes = mostDocumentBytes,
): Promise<Buffer | typeof odd | undefined> {
  const file = await open(path, flags).catch(otherwise);
  if (file === undefined || file === odd) return file;
  try {
    const found = await file.stat();
    return found.isFile() && found.size <= mostBytes ? await file.readFile() : odd;
  } finally {
    await file.close();
  }
}

/** {@link readPlain}, waited for on this thread. @param mostBytes - larger ones are {@link odd} */
export function readPlainHere(path: string, mostBytes = mostDocumentBytes): Buffer | typeof odd | undefined {
  let file: number;
  try {
    file = openSync(path, flags);
  } catch (error) {
    return otherwise(error);
  }
  try {
    const found = fstatSync(file);
    return found.isFile() && found.size <= mostBytes ? readFileSync(file) : odd;
  } finally {
    closeSync(file);
  }
}

function otherwise(error: unknown): typeof odd | undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return undefined;
  if (oddCodes.includes(code)) return odd;
  throw error;
}
