import type { ErrorCode } from '../config/ReelayError.js';
import type { JsonObject } from './JsonMessage.js';

/** Bytes of JSON that the parameters of a start message may have together; jambonz itself cuts its message at 8192. */
const maxBytes = 32 * 1024;
/** Nesting beyond this is no one's data but somebody's attempt to overflow a stack. */
const maxDepth = 16;

/**
 * The parameters of a start message, in their order, as far as they may be kept: they become a part of the manifest, and
 * whoever handles them later may write them as JSON without fear. What is left out adds a warning.
 */
export function boundedParameters(parameters: JsonObject, warnings: Set<ErrorCode>): JsonObject {
  const kept: [string, unknown][] = [];
  let room = maxBytes;
  for (const entry of Object.entries(parameters)) {
    const bytes = nestsWithin(entry[1], maxDepth) ? Buffer.byteLength(JSON.stringify(entry)) : Infinity;
    if (bytes > room) {
      warnings.add('start_invalid');
      continue;
    }
    room -= bytes;
    kept.push(entry);
  }
  return Object.fromEntries(kept);
}

function nestsWithin(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return depth > 0 && Object.values(value).every((inner) => nestsWithin(inner, depth - 1));
}
