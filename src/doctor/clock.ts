import type { Config, StoreConfig } from '../config/Config.js';
import { type Check, failed, type Findings, ok, patienceMs, reasonOf, warning } from './Check.js';

/** Stores refuse requests that are signed further off than 15 minutes (AWS Signature Version 4); here it is told long before. */
const bounds = { warnMs: 5000, failMs: 300_000 };

/** Holds the clock of this machine against those of the servers that it talks to anyway. */
export async function clockCheck(config: Config): Promise<Check> {
  const origins = [...new Set(config.accounts.flatMap(({ store }) => originOf(store) ?? []))];
  const offsets = await Promise.all(origins.map(offsetOf));
  const known = offsets.filter((each) => typeof each === 'number').sort((a, b) => a - b);
  const subject = origins.length === 0 ? 'this machine' : origins.join(', ');
  return { name: 'clock', subject, ...findingsOf(known[known.length >> 1], offsets) };
}

function findingsOf(offsetMs: number | undefined, offsets: readonly (number | string)[]): Findings {
  if (offsetMs === undefined) {
    const why = offsets.find((each) => typeof each === 'string');
    return ok(why === undefined ? 'no server to compare it with' : `could not be compared: ${why}`);
  }
  const detail = `${(Math.abs(offsetMs) / 1000).toFixed(1)} s ${offsetMs < 0 ? 'behind' : 'ahead of'} the store's`;
  const remedy =
    'Have it kept by NTP (systemd-timesyncd, chrony): recordings carry its time, and stores check it.';
  if (Math.abs(offsetMs) > bounds.failMs) return failed(detail, remedy);
  return Math.abs(offsetMs) > bounds.warnMs ? warning(detail, remedy) : ok(detail);
}

/** @returns how far this clock is ahead, ms; or why that isn't known */
async function offsetOf(origin: string): Promise<number | string> {
  try {
    const sinceMs = Date.now();
    const answer = await fetch(origin, {
      method: 'HEAD',
      redirect: 'manual',
      signal: AbortSignal.timeout(patienceMs),
    });
    const now = (sinceMs + Date.now()) / 2;
    const date = Date.parse(answer.headers.get('date') ?? '');
    // It is in whole seconds, rounded down (RFC 9110, section 6.6.1).
    return Number.isNaN(date) ? 'no Date in the answer' : now - (date + 500);
  } catch (error) {
    return reasonOf(error);
  }
}

function originOf(store: StoreConfig | null): string | undefined {
  if (store?.type === 's3') return store.endpoint ?? `https://s3.${store.region}.amazonaws.com`;
  if (store?.type !== 'azure') return undefined;
  if (store.sasUrl !== null) return new URL(store.sasUrl).origin;
  const parts = new Map(
    (store.connectionString ?? '').split(';').map((part) => {
      const at = part.indexOf('=');
      return [part.slice(0, at), part.slice(at + 1)] as const;
    }),
  );
  const name = parts.get('AccountName');
  const suffix = parts.get('EndpointSuffix') ?? 'core.windows.net';
  return parts.get('BlobEndpoint') ?? (name === undefined ? undefined : `https://${name}.blob.${suffix}`);
}
