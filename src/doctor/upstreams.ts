import { WebSocket } from 'ws';
import type { AccountConfig, Config } from '../config/Config.js';
import { isRoomUrl } from '../config/roomUrl.js';
import { dialects } from '../relay/MediaRoute.js';
import { upstreamTarget } from '../relay/upstreamTarget.js';
import { type Check, failed, type Findings, ok, patienceMs, reasonOf } from './Check.js';

/** Each bot is connected to as for a call of that account, and left at once: it sees a socket on which nothing comes. */
export async function upstreamChecks({ accounts }: Config): Promise<Check[]> {
  const seen = new Set<string>();
  const checks: Promise<Check>[] = [];
  for (const account of accounts)
    for (const dialect of dialects) {
      const url = account.upstream[dialect.name];
      if (url === null || seen.has(`${dialect.name} ${url}`)) continue;
      seen.add(`${dialect.name} ${url}`);
      const subject = `${dialect.name} of ${account.id}, ${bare(url)}`;
      // A room is there when a call comes; its server is asked for by itself.
      const findings = isRoomUrl(url) ? serverOf(account) : knock(url, dialect, account);
      checks.push(findings.then((found) => ({ name: 'upstream', subject, ...found })));
    }
  return await Promise.all(checks);
}

/** The health of a LiveKit server, which needs no key: `GET /` answers `OK`. */
async function serverOf({ livekit }: AccountConfig): Promise<Findings> {
  if (livekit === null) return failed('no LiveKit server', 'Give the account its livekit section.');
  const url = livekit.url.replace(/^ws/, 'http');
  const sinceMs = performance.now();
  try {
    const { ok: isWell, status } = await fetch(url, { signal: AbortSignal.timeout(patienceMs) });
    if (isWell) return ok(`the LiveKit server answered in ${(performance.now() - sinceMs).toFixed(0)} ms`);
    return failed(`the LiveKit server answered with ${status}`, 'Look into its log.');
  } catch (error) {
    return failed(
      reasonOf(error),
      'Start the LiveKit server, or correct livekit.url; calls would reach nobody.',
    );
  }
}

async function knock(
  url: string,
  dialect: (typeof dialects)[number],
  account: AccountConfig,
): Promise<Findings> {
  const [protocol = null] = dialect.capabilities.subprotocols;
  const { protocols, headers } = upstreamTarget({ url, dialect, account, protocol });
  const sinceMs = performance.now();
  return await new Promise((resolve) => {
    const socket = new WebSocket(url, [...protocols], {
      headers: { ...headers },
      handshakeTimeout: patienceMs,
    });
    socket.once('upgrade', (response) => {
      // A bot may leave the offered sub-protocol unanswered, which calls put up with too.
      const [offered] = protocols;
      if (offered !== undefined) response.headers['sec-websocket-protocol'] ??= offered;
    });
    socket.once('open', () => {
      resolve(ok(`connected in ${(performance.now() - sinceMs).toFixed(0)} ms`));
      socket.close(1000);
    });
    socket.once('unexpected-response', (request, { statusCode }) => {
      const denied = statusCode === 401 || statusCode === 403;
      const remedy = denied
        ? 'The bot refuses what the provider would send it: check its own secret and the URL that it expects.'
        : 'Have the bot answer WebSocket upgrades under this path.';
      resolve(failed(`the upgrade was answered with ${statusCode}`, remedy));
      request.destroy();
    });
    socket.on('error', (error) =>
      resolve(failed(reasonOf(error), 'Start the bot, or correct the upstream; calls would reach nobody.')),
    );
  });
}

/** Without user, password and query. */
function bare(url: string): string {
  if (isRoomUrl(url)) return url.split('?', 1)[0] ?? '';
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}
