import { createServer } from 'node:net';
import { once } from 'node:events';
import type { Config } from '../config/Config.js';
import { type Check, failed, type Findings, ok, patienceMs, reasonOf, warning } from './Check.js';

export async function portChecks({ media, control }: Config): Promise<Check[]> {
  const checks = [media, control].map(async ({ host, port }): Promise<Check> => ({
    name: 'port',
    subject: `${host}:${port}`,
    ...(await portFindings(host, port)),
  }));
  return [...(await Promise.all(checks)), await publicUrlCheck(media.publicUrl)];
}

async function portFindings(host: string, port: number): Promise<Findings> {
  const server = createServer();
  try {
    server.listen({ host, port });
    await once(server, 'listening');
    return ok('free');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE' && (await isReelay(host, port))) return ok('a daemon answers there already');
    return failed(reasonOf(error), remedies[code ?? ''] ?? 'Choose another host or port.');
  } finally {
    server.close();
  }
}

const remedies: Readonly<Record<string, string>> = {
  EADDRINUSE: 'Another program listens there: end it, or choose another port.',
  EACCES: 'Ports below 1024 need a privilege (CAP_NET_BIND_SERVICE): choose another, or grant it.',
  EADDRNOTAVAIL: 'This machine has no such address: give one that it has, or 0.0.0.0.',
};

async function isReelay(host: string, port: number): Promise<boolean> {
  const name =
    host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;
  return (await healthOf(`http://${name}:${port}`).catch(() => null)) === 'ok';
}

/** @throws the network's error */
async function healthOf(origin: string): Promise<unknown> {
  const answer = await fetch(`${origin}/healthz`, { signal: AbortSignal.timeout(patienceMs) });
  return ((await answer.json()) as { status?: unknown } | null)?.status;
}

async function publicUrlCheck(publicUrl: string | null): Promise<Check> {
  const name = 'public url';
  if (publicUrl === null) {
    const detail = 'media.publicUrl is not set: signatures are checked against the Host header that comes in';
    return { name, subject: 'media.publicUrl', ...ok(detail) };
  }
  const remedy =
    'Start the daemon, and have the proxy pass this origin on to the media port, WebSocket upgrades too.';
  try {
    const status = await healthOf(publicUrl);
    const findings =
      status === 'ok' ? ok('answered by reelay') : warning('answered, but not by reelay', remedy);
    return { name, subject: publicUrl, ...findings };
  } catch (error) {
    return { name, subject: publicUrl, ...warning(`not answered from here: ${reasonOf(error)}`, remedy) };
  }
}
