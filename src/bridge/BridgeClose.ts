import { ReelayError } from '../config/ReelayError.js';

/**
 * Close codes by which a bridge tells why it gives a call up, of those that RFC 6455 (section 7.4.2) leaves to applications. 1000: the
 * room, or whoever was in it, is done with the call.
 */
export const BridgeClose = {
  /** The server couldn't be reached in time. */
  unreachable: 4101,
  /** The server refuses the keys, or the room. */
  denied: 4102,
  /** Nobody was in the room in time. */
  unanswered: 4103,
  /** The connection to the room was lost and couldn't be had again in time. */
  lost: 4104,
  /** Somebody else has joined under the same identity. */
  replaced: 4105,
  /** The SDK can't be loaded. */
  sdkMissing: 4106,
  /** Something failed in the bridge itself. */
  failed: 4107,
} as const;
export type BridgeClose = (typeof BridgeClose)[keyof typeof BridgeClose];

const meanings: Readonly<Record<BridgeClose, readonly [value: string, remedy: string]>> = {
  4101: ['the LiveKit server cannot be reached', 'Check livekit.url of the account, and the server.'],
  4102: [
    'the LiveKit server refuses it',
    'Check livekit.apiKey and livekit.apiSecret of the account, and the clock.',
  ],
  4103: [
    'nobody came into the room in time',
    'Check that an agent is dispatched to it; answerSeconds says how long to wait.',
  ],
  4104: ['the room was lost', 'Look into the log of the LiveKit server.'],
  4105: ['somebody else has joined the room under its identity', 'See whether one call has two streams.'],
  4106: ['the SDK cannot be loaded', 'npm install @livekit/rtc-node@1.1.0'],
  4107: ['the bridge failed', 'Read the lines of the call in the log.'],
};

/** @returns null for a close code that says nothing of the bridge: its process is gone, or the call is over */
export function bridgeFailure(code: number): ReelayError | null {
  const meaning = (meanings as Readonly<Record<number, readonly [string, string]>>)[code];
  if (meaning === undefined) return null;
  const [value, remedy] = meaning;
  return code === BridgeClose.sdkMissing
    ? new ReelayError('sdk_missing', { remedy })
    : new ReelayError('bridge_failed', { value, remedy });
}
