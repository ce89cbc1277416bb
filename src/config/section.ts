import { z } from 'zod';
import { nearest } from './nearest.js';

/** A section may be left out, or be written with nothing in it; its keys then have their defaults. */
export function section<Shape extends z.ZodRawShape>(shape: Shape) {
  return closed(shape).prefault({} as never);
}

/** An object in which an unknown key is an error, since a misspelt one would silently leave the default in force. */
export function closed<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return 'must be a section with keys of its own';
      return issue.keys.map((key) => unknownKey(key, Object.keys(shape))).join('; ');
    },
  });
}

function unknownKey(key: string, known: readonly string[]): string {
  const meant = nearest(key, known);
  const remedy = meant === undefined ? `the keys here are ${known.join(', ')}` : `did you mean "${meant}"?`;
  return `has the unknown key "${key}"; ${remedy}`;
}
