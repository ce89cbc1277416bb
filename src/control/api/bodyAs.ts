import type { z } from 'zod';
import { ReelayError } from '../../config/ReelayError.js';

/**
 * What a request's body says; none is one without anything in it. To be read before what the request is about is looked for, so that what
 * the description forbids is told as such whatever has become of the recording.
 *
 * @param remedy - what the route takes
 * @throws ReelayError `request_invalid`
 */
export function bodyAs<T>(schema: z.ZodType<T>, body: unknown, remedy: string): T {
  const { success, data } = schema.safeParse(body ?? {});
  if (!success) throw new ReelayError('request_invalid', { value: body, remedy });
  return data;
}
