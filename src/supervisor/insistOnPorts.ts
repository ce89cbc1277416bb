import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Config } from '../config/Config.js';

/**
 * Sees to it that the ports of a configuration can be had, or are held by those who will give them back. What can't be had must be
 * known before anybody is asked to end for it.
 *
 * @param theirs - ports that will be given back
 * @throws the system's error, for example `EADDRINUSE`
 */
export async function insistOnPorts(
  { media, control }: Pick<Config, 'media' | 'control'>,
  theirs: readonly number[],
): Promise<void> {
  for (const { host, port } of [media, control]) {
    if (port === 0 || theirs.includes(port)) continue;
    const server = createServer().listen({ host, port });
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
  }
}
