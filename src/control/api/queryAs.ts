import type { z } from 'zod';
import { ReelayError } from '../../config/ReelayError.js';

/**
 * What a request's query says. To be read before what it is about is looked for, as a body is.
 *
 * @param remedy - which parameters the route takes
 * @throws ReelayError `request_invalid`, with what is wrong where
 */
export function queryAs<T>(schema: z.ZodType<T>, query: unknown, remedy: string): T {
  const { success, data, error } = schema.safeParse(query);
  if (success) return data;
  const value = error.issues.map(({ path, message }) => `${path.join('.')} ${message}`.trim()).join('; ');
  throw new ReelayError('request_invalid', { value, remedy });
}
