import type { ErrorCode } from '../config/ReelayError.js';

/**
 * Decodes a payload strictly: the standard alphabet, padding complete or absent, no white space (RFC 4648, section 4).
 * Node's decoder skips what it doesn't know, so a message with a hole in it would become noise; here every skipped
 * character shows as a missing byte. Costs one decode and one search, and no copy.
 *
 * @returns the bytes, at least one, or what is wrong with the payload
 */
export function decodeBase64(payload: unknown): Buffer | ErrorCode {
  if (typeof payload !== 'string') return 'payload_not_base64';
  if (payload === '') return 'payload_empty';
  const characters = significantLength(payload);
  if (characters < 2 || characters % 4 === 1 || payload.includes('-') || payload.includes('_')) {
    return 'payload_not_base64';
  }
  const bytes = Buffer.from(payload, 'base64');
  return bytes.length === Math.floor((characters * 3) / 4) ? bytes : 'payload_not_base64';
}

/** Length without padding; 0 where the padding doesn't fit. */
function significantLength(payload: string): number {
  if (!payload.endsWith('=')) return payload.length;
  if (payload.length % 4 !== 0) return 0;
  return payload.length - (payload.endsWith('==') ? 2 : 1);
}
