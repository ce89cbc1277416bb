import type { ByteRange } from '../../storage/ObjectStore.js';

/**
 * Reads a Range header (RFC 9110, section 14.2). What can't be read, and several ranges at once, count as no header at all, as
 * the RFC allows: the answer is then the whole.
 *
 * @param bytes - length of the whole
 * @returns undefined for the whole, null when the range lies outside of it
 */
export function readRange(header: string | undefined, bytes: number): ByteRange | null | undefined {
  // No two neighbours that take the same characters: a header may be as long as all headers together.
  const match = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header ?? '');
  if (match === null) return undefined;
  const [first, last] = [match[1] ?? '', match[2] ?? ''];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const suffix = Number(last);
    return suffix === 0 || bytes === 0 ? null : { start: Math.max(0, bytes - suffix), end: bytes - 1 };
  }
  if (last !== '' && Number(last) < Number(first)) return undefined;
  const end = last === '' ? bytes - 1 : Math.min(Number(last), bytes - 1);
  return Number(first) >= bytes ? null : { start: Number(first), end };
}
