import { systemClock } from './BridgeClock.js';
import type { FromBridge, ToBridge } from './BridgeMessage.js';
import { BridgeServer } from './BridgeServer.js';
import type { Rooms } from './Room.js';

const beatMs = 1000;
/** Problems that nobody caught which are told; there may be one for each frame. */
const mostUncaught = 100;

let uncaught = 0;

/**
 * What a bridge process does: takes the calls that the daemon announces, until the daemon has no more for it, or is gone.
 *
 * @param load - the way into rooms; rejects where there is none
 */
export async function runBridge(load: () => Promise<Rooms>): Promise<void> {
  livesOnItsChannel();
  let rooms: Rooms;
  try {
    rooms = await load();
  } catch (error) {
    tell({ type: 'failed', reason: 'missing', message: messageOf(error) });
    return;
  }
  const server = new BridgeServer({
    rooms,
    clock: systemClock,
    report:
      (ticket) =>
      (level, message, facts = {}) =>
        tell({ type: 'log', level, ticket, message, facts }),
    onOver: (ticket) => {
      tell({ type: 'over', ticket });
      endIfDone();
    },
  });
  let isRetiring = false;
  const endIfDone = (): void => {
    // The channel takes what was told before.
    if (isRetiring && server.size === 0) setImmediate(() => process.exit(0));
  };
  process.on('message', (message: ToBridge) => {
    if (message.type === 'expect') server.expect(message.call);
    else isRetiring = true;
    endIfDone();
  });
  setInterval(() => {
    tell({ type: 'beat', totals: { rssBytes: process.memoryUsage.rss(), ...server.totals } });
  }, beatMs);
  try {
    tell({ type: 'ready', port: await server.listen() });
  } catch (error) {
    tell({ type: 'failed', reason: 'other', message: messageOf(error) });
  }
}

function livesOnItsChannel(): void {
  process.on('disconnect', () => process.exit(0));
  // A terminal sends them to every process of its group; the daemon says when calls are over.
  process.on('SIGINT', ignore);
  process.on('SIGTERM', ignore);
  // The SDK's event handlers reject where nobody can catch it, for example for a participant that is gone already.
  process.on('unhandledRejection', (reason) => tellUncaught(reason));
  process.on('uncaughtException', (error) => tellUncaught(error));
}

function tell(message: FromBridge): void {
  if (process.connected) process.send?.(message, undefined, undefined, ignore);
}

function tellUncaught(reason: unknown): void {
  if (++uncaught > mostUncaught) return;
  const facts = { err: reason instanceof Error ? (reason.stack ?? reason.message) : String(reason) };
  tell({ type: 'log', level: 'error', ticket: null, message: 'uncaught in a bridge process', facts });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function ignore(): void {
  // Nothing is left to do.
}
