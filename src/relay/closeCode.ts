import type { ErrorCode } from '../config/ReelayError.js';

/** Close codes of RFC 6455 section 7.4.1 that reelay sends. */
export const CloseCode = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  unsupportedData: 1003,
  invalidData: 1007,
  policy: 1008,
  internalError: 1011,
  tryAgainLater: 1013,
} as const;

const codes: Partial<Record<ErrorCode, number>> = {
  frame_not_json: CloseCode.invalidData,
  frame_not_object: CloseCode.invalidData,
  frame_binary: CloseCode.unsupportedData,
  event_out_of_order: CloseCode.protocolError,
  stream_failed: CloseCode.internalError,
  too_many_streams: CloseCode.tryAgainLater,
  lanes_full: CloseCode.tryAgainLater,
  accounts_unavailable: CloseCode.tryAgainLater,
  draining: CloseCode.goingAway,
};

/** The close code for a stream that is refused before its start: 1008, policy, unless the protocol has a better one. */
export function closeCode(code: ErrorCode): number {
  return codes[code] ?? CloseCode.policy;
}
