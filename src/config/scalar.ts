import { z } from 'zod';
import { isRoomUrl, readRoomUrl, roomUrlForm } from './roomUrl.js';

/** A problem of one value, in words that finish the sentence "… must be". */
type Reading<T> = (value: unknown) => T | undefined;

/**
 * One value of the configuration. Files give numbers and booleans as such, environment variables give everything as text, so
 * each reader takes both.
 *
 * @param expected - finishes the sentence "must be"; it is the remedy that the reader of the message gets
 */
export function scalar<T>(expected: string, read: Reading<T>) {
  return z.unknown().transform((value, context): T => {
    const result = read(value);
    if (result !== undefined) return result;
    const message = value === undefined ? `is missing; it must be ${expected}` : `must be ${expected}`;
    context.issues.push({ code: 'custom', message, input: value });
    return z.NEVER;
  });
}

export const text = (expected: string) =>
  scalar(expected, (value) => (typeof value === 'string' && value.trim() !== '' ? value : undefined));

/** White space around it, as of a file that ends in a line break, would never match and look right. */
export const secretText = () =>
  scalar('a text without white space around it, not empty', (value) =>
    typeof value === 'string' && /^\S(?:.*\S)?$/.test(value) ? value : undefined,
  );

export const oneOf = <const T extends string>(...choices: readonly T[]) =>
  scalar(`one of ${choices.join(', ')}`, (value) => choices.find((choice) => choice === value));

export const yesOrNo = () =>
  scalar('true or false', (value) => {
    if (value === true || value === 'true') return true;
    return value === false || value === 'false' ? false : undefined;
  });

/** @param unit - named in the message, for example `milliseconds` */
export const whole = (unit: string, least: number, most: number) =>
  scalar(`a whole number of ${unit} from ${least} to ${most}`, (value) =>
    within(numberOf(value), least, most),
  );

export const port = () =>
  scalar('a TCP port, a whole number from 0 to 65535', (value) => within(numberOf(value), 0, 65_535));

const units: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** Bytes, as a number or as text with a unit: `10GiB`, `500 MB`. */
export const size = (least: number, most: number) =>
  scalar(`a size such as 10GiB, 500MB or a number of bytes, from ${least} to ${most} bytes`, (value) => {
    const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(String(value).trim());
    const unit = units[match?.[2] ?? ''];
    if (match === null || unit === undefined) return undefined;
    return within(Math.round(Number(match[1]) * unit), least, most);
  });

const hostName = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$/;

export const host = () =>
  scalar('an address or host name to listen on, for example 127.0.0.1 or 0.0.0.0', (value) =>
    typeof value === 'string' && hostName.test(value) ? value : undefined,
  );

/** Where calls go: a bot's socket, or a room of the account's LiveKit server. */
export const upstreamUrl = () =>
  scalar(`a ws:// or wss:// URL, for example wss://bot.example.com/media, or ${roomUrlForm}`, (value) => {
    if (typeof value === 'string' && isRoomUrl(value))
      return readRoomUrl(value) === undefined ? undefined : value;
    return socketUrlOf(value);
  });

/** A WebSocket URL; a fragment makes no sense in one (RFC 6455, section 3). */
export const socketUrl = () =>
  scalar('a ws:// or wss:// URL, for example wss://bot.example.com/media', socketUrlOf);

/** An origin: its scheme, host and port; what `ws` and `wss` would be is written as `http` and `https`. */
export const origin = () =>
  scalar('an origin without a path, for example https://relay.example.com', (value) => {
    const url = urlOf(value);
    if (url?.pathname !== '/' || url.search !== '' || url.hash !== '') return undefined;
    if (url.username !== '' || !/^(?:https?|wss?):$/.test(url.protocol)) return undefined;
    return `${url.protocol.replace('ws', 'http')}//${url.host}`;
  });

/** Where a compatible store answers. */
export const endpointUrl = () =>
  scalar('an http:// or https:// URL without user, query and fragment', (value) => {
    const url = urlOf(value);
    if (url === undefined || !/^https?:$/.test(url.protocol) || url.username + url.password !== '')
      return undefined;
    return url.search === '' && url.hash === '' ? (value as string).replace(/\/+$/, '') : undefined;
  });

/**
 * Where accounts are asked for. What is fetched there are secrets, so it is encrypted on the way, except to this machine.
 *
 * @returns the URL with `{account}` in it: where it names no place for the account's id, that is the query `account`
 */
export const accountsUrl = () =>
  scalar(
    'an https:// URL (http:// on loopback only) without user and fragment, with {account} in its path or query',
    (value) => {
      const url = urlOf(value);
      if (url === undefined || url.username + url.password + url.hash !== '') return undefined;
      const isLocal = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname);
      if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLocal)) return undefined;
      if (/[{}]/.test(url.host)) return undefined;
      const given = value as string;
      if (given.includes('{account}')) return given;
      return `${given}${given.includes('?') ? '&' : '?'}account={account}`;
    },
  );

/** IANA time zone. */
export const timeZone = () =>
  scalar('an IANA time zone, for example Europe/Berlin or UTC', (value) => {
    if (typeof value !== 'string' || !/^[A-Za-z]/.test(value)) return undefined;
    try {
      Intl.DateTimeFormat('en', { timeZone: value });
      return value;
    } catch {
      return undefined;
    }
  });

function socketUrlOf(value: unknown): string | undefined {
  const url = urlOf(value);
  if (url === undefined || !['ws:', 'wss:'].includes(url.protocol) || url.hash !== '') return undefined;
  return value as string;
}

function urlOf(value: unknown): URL | undefined {
  return typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
}

function numberOf(value: unknown): number {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && value.trim() !== '' ? Number(value) : NaN;
}

function within(value: number, least: number, most: number): number | undefined {
  return Number.isSafeInteger(value) && value >= least && value <= most ? value : undefined;
}
