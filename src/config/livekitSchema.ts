import { z } from 'zod';
import type { LiveKitAccount } from './Config.js';
import { scalar, secretText, socketUrl, whole } from './scalar.js';
import { section } from './section.js';

/** Rates to which a track is resampled without a remainder in a frame of 100 ms, Hz. */
const rates = [8000, 16_000, 24_000, 48_000];

/** A section of which url, key and secret go together; null where none of them is given. */
export function livekit() {
  return section({
    url: socketUrl().optional(),
    apiKey: secretText().optional(),
    apiSecret: secretText().optional(),
    rooms: rooms().default('none'),
    departureSeconds: whole('seconds', 0, 86_400).default(20),
    sampleRate: sampleRate().default(48_000),
  }).transform((input, context): LiveKitAccount | null => {
    const { url, apiKey, apiSecret, ...rest } = input;
    if (url !== undefined && apiKey !== undefined && apiSecret !== undefined)
      return { url, apiKey, apiSecret, ...rest };
    const given = { url, apiKey, apiSecret };
    if (Object.values(given).every((each) => each === undefined)) return null;
    for (const [key, value] of Object.entries(given)) {
      if (value !== undefined) continue;
      const message = 'is missing; url, apiKey and apiSecret go together';
      context.issues.push({ code: 'custom', path: [key], message, input: undefined });
    }
    return z.NEVER;
  });
}

/** `all`, `none`, one pattern or a list of them. */
function rooms() {
  const expected = 'all, none, or a list of patterns of room names such as support-*';
  return scalar(expected, (value): LiveKitAccount['rooms'] | undefined => {
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    const [only] = list;
    if (list.length === 1 && (only === 'all' || only === 'none')) return only;
    return list.length > 0 && list.every((each) => typeof each === 'string' && each !== '')
      ? (list as string[])
      : undefined;
  });
}

function sampleRate() {
  return scalar(`one of ${rates.join(', ')} Hz`, (value) => rates.find((rate) => rate === Number(value)));
}
