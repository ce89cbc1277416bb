import { resolve } from 'node:path';
import { z } from 'zod';
import { apiKeyOf, keyScopes, type ApiKey } from './ApiKey.js';
import { beepName, type AccountConfig, type Config } from './Config.js';
import { eventTypes } from './eventTypes.js';
import {
  accountsUrl,
  host,
  oneOf,
  origin,
  port,
  scalar,
  secretText,
  size,
  text,
  timeZone,
  upstreamUrl,
  whole,
  yesOrNo,
} from './scalar.js';
import { livekit } from './livekitSchema.js';
import { closed, section } from './section.js';
import { storeSchema } from './storeSchema.js';
import { tracingSchema } from './tracingSchema.js';

const KiB = 2 ** 10;
const MiB = 2 ** 20;
const GiB = 2 ** 30;
const TiB = 2 ** 40;

/**
 * The shape of a configuration file; what it yields is a {@link Config}. Each key is described in docs/configuration.md, and
 * a test compares the two lists.
 *
 * @param folder - relative paths are resolved against it
 */
export function configSchema(folder: string) {
  const path = pathBelow(folder);
  return closed({
    media: media(),
    control: section({
      host: host().default('127.0.0.1'),
      port: port().default(8081),
      adminKeys: apiKeys().default([]),
      linkSecret: linkSecret().nullable().default(null),
    }),
    spool: section({
      dir: path().default(resolve(folder, 'spool')),
      maxBytes: size(16 * MiB, 1024 * TiB).default(10 * GiB),
      minFreeBytes: size(0, 1024 * TiB)
        .nullable()
        .default(null),
      flushMs: whole('milliseconds', 10, 10_000).default(100),
      syncMs: whole('milliseconds', 10, 60_000).default(500),
    }),
    recording: section({
      chunkSeconds: whole('seconds', 1, 3600).default(60),
      channels: oneOf('dual', 'mixed').default('dual'),
      layout: oneOf('chunks', 'single', 'both').default('chunks'),
      stalledMinutes: whole('minutes', 1, 1440).default(5),
      signingKeyFile: path().nullable().default(null),
      dtmf: oneOf('keep', 'mask').default('keep'),
    }),
    prompts: prompts(folder).default({}),
    recordEndpoint: recordEndpoint(),
    catalogue: section({ url: catalogueUrl(folder).default(`sqlite:${resolve(folder, 'reelay.db')}`) }),
    limits: section({
      calls: whole('calls', 1, 100_000).default(500),
      pendingStreams: whole('sockets', 1, 100_000).default(200),
      startTimeoutMs: whole('milliseconds', 100, 600_000).default(10_000),
      upstreamQueueMs: whole('milliseconds', 0, 120_000).default(10_000),
      upstreamBufferBytes: size(64 * KiB, GiB).default(MiB),
      providerBufferBytes: size(64 * KiB, GiB).default(16 * MiB),
      ringBytes: size(64 * KiB, GiB).default(64 * MiB),
      stalledMs: whole('milliseconds', 500, 600_000).default(10_000),
      loopDelayMs: whole('milliseconds', 5, 60_000).default(200),
      bridgedCallsPerProcess: whole('calls', 1, 200).default(20),
      bridgeProcesses: whole('processes', 1, 256).default(4),
      downloadBytesPerSecond: size(MiB, 1024 * GiB).default(64 * MiB),
      memoryBytes: size(64 * MiB, 1024 * TiB)
        .nullable()
        .default(null),
      roomsPerProcess: whole('rooms', 1, 100).default(4),
      lanesPerRoom: whole('tracks', 1, 1000).default(50),
      roomProcesses: whole('processes', 1, 1000).default(16),
    }),
    log: section({
      level: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent').default('info'),
    }),
    tracing: tracingSchema(),
    accounts: z.array(account(path)).optional(),
    accountsUrl: accountsUrl().nullable().default(null),
    accountLookup: section({
      key: secretText().nullable().default(null),
      ttlSeconds: whole('seconds', 1, 86_400).default(60),
      staleSeconds: whole('seconds', 0, 2_592_000).default(86_400),
      timeoutMs: whole('milliseconds', 100, 60_000).default(2000),
    }),
  }).superRefine((input, context) => {
    const isAsked = input.accountsUrl !== null;
    if (input.accounts?.length === 0 && !isAsked) {
      const message = 'must list at least one account, unless accountsUrl says where they are asked for';
      context.addIssue({ code: 'custom', path: ['accounts'], message });
    }
    if (input.accountLookup.key !== null && !isAsked) {
      const message = 'is given without accountsUrl, where it would be sent; give that too';
      context.addIssue({ code: 'custom', path: ['accountLookup', 'key'], message });
    }
  });
}

/** One account by itself, as an endpoint of the user's answers it. */
export function accountSchema(folder: string) {
  return account(pathBelow(folder));
}

function media() {
  return section({
    host: host().default('0.0.0.0'),
    port: port().default(8080),
    publicUrl: origin().nullable().default(null),
    drainSeconds: whole('seconds', 0, 86_400).default(20),
    fastPath: yesOrNo().default(true),
    realtime: yesOrNo().default(false),
  });
}

function pathBelow(folder: string) {
  return () =>
    scalar('a path to a folder', (value) =>
      typeof value === 'string' && value.trim() !== '' ? resolve(folder, value) : undefined,
    );
}

export type ConfigInput = z.output<ReturnType<typeof configSchema>>;

function account(path: () => z.ZodType<string>) {
  return closed({
    id: accountId(),
    upstream: upstream().default({ twilio: null, jambonz: null }),
    onUpstreamLoss: oneOf('close', 'recordOnly', 'reconnect').default('close'),
    resumeSeconds: whole('seconds', 0, 3600).default(5),
    twilio: section({
      authToken: keys().default([]),
      requireToken: yesOrNo().default(false),
    }),
    jambonz: jambonz(),
    livekit: livekit(),
    store: storeSchema(path).nullable().default(null),
    apiKeys: apiKeys().default([]),
    webhooks: z.array(webhook()).default([]),
    record: oneOf('always', 'never', 'onRequest').default('always'),
    prompt: text('a name that prompts has, or beep').nullable().default(null),
    retentionDays: whole('days', 1, 36_500).nullable().default(null),
  }).transform((input): AccountConfig => ({
    id: input.id,
    upstream: input.upstream,
    onUpstreamLoss: input.onUpstreamLoss,
    resumeSeconds: input.resumeSeconds,
    twilio: { authTokens: input.twilio.authToken, requireToken: input.twilio.requireToken },
    jambonz: input.jambonz,
    livekit: input.livekit,
    store: input.store,
    apiKeys: input.apiKeys,
    webhooks: input.webhooks,
    record: input.record,
    prompt: input.prompt,
    retentionDays: input.retentionDays,
  }));
}

function webhook() {
  const secret = 'whsec_ and 24 to 64 bytes in base64; openssl rand -base64 32 makes one';
  return closed({
    url: scalar('an http:// or https:// URL without user and fragment', (value) => {
      const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : null;
      if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
      return url.username + url.password + url.hash === '' ? (value as string) : undefined;
    }),
    secret: scalar(secret, (value) => {
      const [, key] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(typeof value === 'string' ? value : '') ?? [];
      const bytes = key === undefined ? 0 : Buffer.from(key, 'base64').length;
      return bytes >= 24 && bytes <= 64 ? (value as string) : undefined;
    }),
    events: z
      .array(oneOf(...eventTypes))
      .nullable()
      .default(null),
  });
}

function jambonz() {
  return section({
    ...logins(),
    returns: oneOf('streaming', 'playAudio', 'none').default('streaming'),
    returnSampleRate: whole('Hz', 8000, 48_000).nullable().default(null),
    legSampleRate: whole('Hz', 8000, 48_000).default(8000),
    recordFormat: oneOf('mp3', 'wav').default('mp3'),
  }).transform(withPairs);
}

function recordEndpoint() {
  return section({
    ...logins(),
    layout: oneOf('chunks', 'single', 'both', 'jambonz').default('jambonz'),
    timeZone: timeZone().default('UTC'),
  }).transform(withPairs);
}

/** Basic authorization: one pair, and further ones in a list. */
function logins() {
  const username = () => text('a user name, not empty');
  const password = () => text('a password, not empty');
  return {
    username: username().optional(),
    password: password().optional(),
    credentials: z.array(closed({ username: username(), password: password() })).default([]),
  };
}

interface Logins {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly credentials: readonly { readonly username: string; readonly password: string }[];
}

function withPairs<T extends Logins>(input: T, context: z.RefinementCtx<T>) {
  const { username, password, credentials, ...rest } = input;
  if ((username === undefined) !== (password === undefined)) {
    const path = [username === undefined ? 'username' : 'password'];
    const message = 'is missing; username and password go together';
    context.issues.push({ code: 'custom', path, message, input: undefined });
  }
  const pair = username === undefined || password === undefined ? [] : [{ username, password }];
  return { ...rest, credentials: [...pair, ...credentials] };
}

/** One URL for every dialect, or one for each; a dialect that is left out is recorded only. */
function upstream() {
  const each = closed({
    twilio: upstreamUrl().nullable().default(null),
    jambonz: upstreamUrl().nullable().default(null),
  });
  return z.unknown().transform((value, context): AccountConfig['upstream'] => {
    const wanted = typeof value === 'object' && value !== null ? value : { twilio: value, jambonz: value };
    const result = each.safeParse(value === null ? {} : wanted);
    if (result.success) return result.data;
    const seen = typeof value === 'object' ? result.error.issues : result.error.issues.slice(0, 1);
    for (const issue of seen)
      context.issues.push({ ...issue, path: typeof value === 'object' ? issue.path : [] } as never);
    return z.NEVER;
  });
}

/** A secret or a list of them. One with a line break at its end, as read from a file, would match nothing and look right. */
function keys() {
  const expected = 'a text without white space around it, not empty, or a list of them';
  return scalar(expected, (value): readonly string[] | undefined => {
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    return list.every((each) => typeof each === 'string' && /^\S(?:.*\S)?$/.test(each))
      ? (list as string[])
      : undefined;
  });
}

function linkSecret() {
  return scalar('a text of at least 32 characters that nobody can guess', (value) =>
    typeof value === 'string' && /^\S(?:.*\S)?$/.test(value) && value.length >= 32 ? value : undefined,
  );
}

function apiKeys() {
  const expected =
    'a key without white space around it, "sha256:" and the digest that `reelay key` gives, { key, name, scopes }, or a list of these; ' +
    `scopes are ${keyScopes.join(', ')}`;
  return scalar(expected, (value): readonly ApiKey[] | undefined => {
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    const read = list.map(apiKeyOf);
    return read.every((each) => each !== undefined) ? read : undefined;
  });
}

/** The characters of a safe part of an object key; ids on the wire are held against the same set. */
function accountId() {
  const expected =
    'an account id of letters, digits and . _ : @ + -, beginning with a letter or digit, or "*" for any account';
  return scalar(expected, (value) => {
    if (typeof value !== 'string' || value.includes('..')) return undefined;
    return value === '*' || /^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}$/.test(value) ? value : undefined;
  });
}

/** `{ name: file }`, besides the one that needs no file. */
function prompts(folder: string) {
  const expected = `{ name: file } with names of letters, digits and hyphens other than ${beepName}, for example { consent: ./consent.wav }`;
  return scalar(expected, (value): Config['prompts'] | undefined => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const given = Object.entries(value as Readonly<Record<string, unknown>>);
    const isRight = ([name, file]: [string, unknown]): boolean =>
      /^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/.test(name) &&
      name !== beepName &&
      typeof file === 'string' &&
      file.trim() !== '';
    if (!given.every(isRight)) return undefined;
    return Object.fromEntries(
      given.map(([name, file]) => [name, { file: resolve(folder, String(file)), samples: {} }]),
    );
  });
}

/** Where the list of recordings is kept; a path in it is made absolute. */
function catalogueUrl(folder: string) {
  const expected = 'memory:, sqlite: and the path of a file, or a URL postgres://user:password@host/database';
  return scalar(expected, (value) => {
    if (typeof value !== 'string') return undefined;
    const [, scheme, rest = ''] = /^([a-z]+):(.*)$/s.exec(value) ?? [];
    if (scheme === 'memory') return rest === '' ? value : undefined;
    // What looks like a file's name to us is a database in memory to SQLite.
    if (scheme === 'sqlite')
      return rest.trim() === '' || rest === ':memory:' ? undefined : `sqlite:${resolve(folder, rest)}`;
    const isPostgres = scheme === 'postgres' || scheme === 'postgresql';
    return isPostgres && rest.startsWith('//') && URL.canParse(value) ? value : undefined;
  });
}

/** What a configuration without accounts serves: any account, on loopback only because it has no secrets. */
export function catchAll(folder: string): AccountConfig {
  return {
    id: '*',
    upstream: { twilio: null, jambonz: null },
    onUpstreamLoss: 'close',
    resumeSeconds: 5,
    twilio: { authTokens: [], requireToken: false },
    jambonz: {
      credentials: [],
      returns: 'streaming',
      returnSampleRate: null,
      legSampleRate: 8000,
      recordFormat: 'mp3',
    },
    livekit: null,
    store: { type: 'file', dir: resolve(folder, 'recordings') },
    apiKeys: [],
    webhooks: [],
    record: 'always',
    prompt: null,
    retentionDays: null,
  };
}

/** The same as {@link ConfigInput} with its accounts settled. */
export function configOf(input: ConfigInput, folder: string): Config {
  const { accounts, accountsUrl: url, accountLookup, ...rest } = input;
  return {
    ...rest,
    accountLookup: url === null ? null : { url, ...accountLookup },
    // Where accounts are asked for, one that nobody knows is nobody's: there is no account for any call.
    accounts: accounts ?? (url === null ? [catchAll(folder)] : []),
  };
}

/** Keys that hold a list of texts, which an environment variable gives separated by commas. */
export const listKeys: ReadonlySet<string> = new Set(['adminKeys', 'authToken', 'apiKeys', 'rooms']);
