import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';

/** The Unix socket in a daemon's folder that the daemon listens on. */
export const lockName = 'lock';

/** Unix socket paths are limited to 108 bytes (unix(7)), 104 on some systems. */
const longestSocketPath = 100;

/** A path that is too long for a socket is reached through an open handle on its folder. @param name - of the socket */
export async function withLockPath<T>(
  folder: string,
  use: (path: string) => Promise<T>,
  name = lockName,
): Promise<T> {
  const path = join(folder, name);
  if (Buffer.byteLength(path) <= longestSocketPath || process.platform !== 'linux') return use(path);
  const handle = openSync(folder, 'r');
  try {
    return await use(`/proc/self/fd/${handle}/${name}`);
  } finally {
    closeSync(handle);
  }
}
