import type { ErrorCode } from '../config/ReelayError.js';
import type { InvalidEvent } from './Dialect.js';

/** A JSON object off the wire: any field may be absent or of any type. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Reads the text of a frame.
 *
 * @returns the object, or what is wrong with the text
 */
export function parseObject(text: string): JsonObject | ErrorCode {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return 'frame_not_json';
  }
  return isObject(message) ? message : 'frame_not_object';
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A nested object, or an empty one where it is missing or something else. */
export function objectAt(message: JsonObject, field: string): JsonObject {
  const value = message[field];
  return isObject(value) ? value : {};
}

export function stringAt(message: JsonObject, field: string): string | null {
  const value = message[field];
  return typeof value === 'string' ? value : null;
}

/** An id that its sender may have written as a number. */
export function idAt(message: JsonObject, field: string): string | null {
  const value = message[field];
  return typeof value === 'number' ? String(value) : stringAt(message, field);
}

/**
 * A number that is written as one or as a string of digits: the same counter is a string with one provider and a number
 * with the next.
 *
 * @returns NaN where there is none
 */
export function numberAt(message: JsonObject, field: string): number {
  const value = message[field];
  if (typeof value === 'number') return Number.isFinite(value) ? value : NaN;
  return typeof value === 'string' && /^ *-?\d{1,15}(\.\d{1,9})? *$/.test(value) ? Number(value) : NaN;
}

/** @param drop - whether the message is kept from the other side; default true */
export function invalid(code: ErrorCode, value?: unknown, drop = true): InvalidEvent {
  return value === undefined
    ? { kind: 'invalid', code, drop }
    : { kind: 'invalid', code, value: shown(value), drop };
}

/**
 * @param text - of a frame that can't be read; shown unless it seems to be of keys that were pressed, which no log may have
 * @param code - what is wrong with it
 */
export function unreadable(code: ErrorCode, text: string): InvalidEvent {
  const begin = shown(text);
  return invalid(code, /dtmf|digit/i.test(begin) ? undefined : begin);
}

/**
 * As much of a value as a log line needs; a whole frame could hold a caller's data or a token. Objects are not written
 * out: JSON.parse takes any depth, JSON.stringify overflows the stack.
 */
function shown(value: unknown): string {
  if (typeof value === 'string') return value.slice(0, 80);
  if (typeof value !== 'object' || value === null) return String(value);
  return `fields ${Object.keys(value).slice(0, 20).join(', ')}`.slice(0, 80);
}
