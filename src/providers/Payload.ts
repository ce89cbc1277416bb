import type { ErrorCode } from '../config/ReelayError.js';

/** Frozen and shared, so that a frame without faults allocates no list. */
export const noWarnings: readonly ErrorCode[] = Object.freeze([]);
const hasHeader: readonly ErrorCode[] = Object.freeze(['payload_has_header'] as const);
const odd: readonly ErrorCode[] = Object.freeze(['payload_odd'] as const);

/** Whether raw audio begins with a RIFF/WAVE header, which the far end would play as noise. */
export function headerWarnings(payload: Uint8Array): readonly ErrorCode[] {
  return startsAt(payload, 0, 'RIFF') && startsAt(payload, 8, 'WAVE') ? hasHeader : noWarnings;
}

/** What 16-bit audio without a header may have wrong. */
export function pcmWarnings(payload: Uint8Array): readonly ErrorCode[] {
  const header = headerWarnings(payload);
  if (payload.length % 2 === 0) return header;
  return header === noWarnings ? odd : ['payload_has_header', 'payload_odd'];
}

function startsAt(payload: Uint8Array, offset: number, tag: string): boolean {
  if (payload.length < offset + tag.length) return false;
  for (let i = 0; i < tag.length; i++) if (payload[offset + i] !== tag.charCodeAt(i)) return false;
  return true;
}
