import { ReelayError } from '../config/ReelayError.js';

/**
 * The parts of an object's key, each of which can become a folder or a file: none is empty, begins with a dot, or holds a
 * backslash or a control character.
 *
 * @throws ReelayError `object_key_invalid`
 */
export function partsOfKey(key: string): readonly string[] {
  const parts = key.split('/');
  if (!parts.every(isPlain)) throw new ReelayError('object_key_invalid', { value: key });
  return parts;
}

export function isObjectKey(key: string): boolean {
  return key.split('/').every(isPlain);
}

/** The media type that a key's ending stands for. */
export function contentTypeOf(key: string): string {
  if (key.endsWith('.wav')) return 'audio/wav';
  if (key.endsWith('.mp3')) return 'audio/mpeg';
  if (key.endsWith('.json')) return 'application/json';
  return 'application/octet-stream';
}

/** Names and values as an HTTP header can carry them; what can't be said in printable ASCII becomes a question mark. */
export function plainMetadata(metadata: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(metadata).map(([name, value]) => [
    name.toLowerCase().replace(/[^a-z0-9_-]/g, '_'),
    value.replace(/[^\x20-\x7e]/g, '?').trim(),
  ]);
  return Object.fromEntries(entries) as Record<string, string>;
}

function isPlain(part: string): boolean {
  return part !== '' && !part.startsWith('.') && !/[\\\p{Cc}]/u.test(part);
}
