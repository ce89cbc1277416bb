import { readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { type Document, LineCounter, parseDocument } from 'yaml';
import { bucketStore, isBucketUrl } from './bucketStore.js';
import { beepName, type AccountConfig, type Config, type StoreConfig } from './Config.js';
import { type Environment, type Problem, overlayEnvironment, substitute } from './environment.js';
import { ReelayError } from './ReelayError.js';
import { isRoomUrl } from './roomUrl.js';
import { accountSchema, configOf, configSchema } from './schema.js';

/** What the command line says on top of file and environment; undefined where a flag was not given. */
export interface ConfigFlags {
  readonly config?: string | undefined;
  /** Bot URL of every account and dialect. */
  readonly upstream?: string | undefined;
  /** Store of every account: a folder, or `s3://bucket/prefix`. */
  readonly store?: string | undefined;
  readonly mediaPort?: number | undefined;
  readonly controlPort?: number | undefined;
}

/**
 * Reads the configuration: file, then environment, then flags, each over the one before.
 *
 * @param environment - variables for `${NAME}` and the `REELAY_…` overlay
 * @param cwd - relative paths of the flags, and of everything when there is no file, are resolved against it
 * @throws ReelayError `config_unreadable` or `config_invalid`; the message lists every problem, one to a line
 */
export function loadConfig(
  flags: ConfigFlags = {},
  environment: Environment = process.env,
  cwd: string = process.cwd(),
): Config {
  const file = flags.config === undefined ? undefined : resolve(cwd, flags.config);
  const folder = file === undefined ? cwd : dirname(file);
  const problems: Problem[] = [];
  const used = new Set<string>();
  const document = substitute(file === undefined ? {} : readDocument(file), environment, problems, used);
  const config = validate(
    document as Record<string, unknown>,
    { flags, environment, folder, used },
    problems,
  );
  const flagged = config === undefined ? undefined : withFlags(config, flags, { environment, cwd }, problems);
  if (flagged !== undefined) problems.push(...contradictions(flagged));
  if (flagged === undefined || problems.length > 0) throw invalid(file, problems);
  return freeze(flagged);
}

/**
 * Reads one account, as `accounts` would list it, from somewhere else.
 *
 * @param value - parsed JSON
 * @param folder - relative paths are resolved against it
 * @param among - the configuration that the account comes into; without it only the account itself is checked
 * @throws ReelayError `config_invalid`; the message lists every problem, and no secret
 */
export function parseAccount(value: unknown, folder: string, among?: Config): AccountConfig {
  const result = accountSchema(folder).safeParse(value, { reportInput: true });
  const name = 'the account';
  if (!result.success) {
    const problems = result.error.issues.map(({ path, message }) => ({
      path: nameOf(path, name),
      message: `${shown(value, path)}${message}`,
    }));
    throw invalid(name, problems);
  }
  const account = result.data;
  if (among !== undefined) {
    const others = among.accounts.filter(({ id }) => id !== account.id);
    const problems = togetherProblems({ ...among, accounts: [...others, account] });
    const own = `accounts[${others.length}].`;
    const mine = problems.filter(({ path }) => path.startsWith(own));
    if (mine.length > 0)
      throw invalid(
        name,
        mine.map(({ path, message }) => ({ path: path.slice(own.length), message })),
      );
  }
  return freeze(account);
}

function readDocument(file: string): unknown {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (cause) {
    const remedy = 'Check the path that --config gives and its permissions.';
    throw new ReelayError('config_unreadable', { value: file, remedy, cause });
  }
  const lines = new LineCounter();
  const document = parseDocument(content, { prettyErrors: false, lineCounter: lines });
  const problems = document.errors.map(({ message, pos }) => {
    const { line, col } = lines.linePos(pos[0]);
    // Where it is, and none of the text: the line may be that of a secret.
    return {
      path: `line ${line}, column ${col}`,
      message: `cannot be read: ${message.replace(/: .*$/s, '')}`,
    };
  });
  if (problems.length > 0) throw invalid(file, problems);
  const value = plain(document, file);
  if (value === null) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value;
  throw invalid(file, [{ path: file, message: 'must hold sections such as media: and accounts:' }]);
}

function plain(document: Document.Parsed, file: string): unknown {
  try {
    return document.toJS();
  } catch {
    const message = 'has a value that begins with * and is no alias; put it in quotes';
    throw invalid(file, [{ path: file, message }]);
  }
}

interface Sources {
  readonly flags: ConfigFlags;
  readonly environment: Environment;
  readonly folder: string;
  readonly used: ReadonlySet<string>;
}

function validate(
  document: Record<string, unknown>,
  sources: Sources,
  problems: Problem[],
): Config | undefined {
  const schema = configSchema(sources.folder);
  overlayEnvironment(document, schema, sources.environment, problems, sources.used);
  const result = schema.safeParse(document, { reportInput: true });
  if (result.success) return configOf(result.data, sources.folder);
  const known = new Set(problems.map(({ path }) => path));
  for (const { path, message } of result.error.issues) {
    const name = nameOf(path);
    if (!known.has(name)) problems.push({ path: name, message: `${shown(document, path)}${message}` });
  }
  return undefined;
}

function nameOf(path: readonly PropertyKey[], whole = 'the configuration'): string {
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return text.replace(/^\./, '') || whole;
}

const secret = /password|token|keys?$|secret|credentials|headers|connectionString|sasUrl/i;
/** A URL with a user or a query, or a connection string, whatever key it was written under. */
const secretValue = /:\/\/[^/]*@|\?|(?:key|signature|sig|secret|token|password)=/i;

/** The value under a path, for a message; never that of a secret. */
function shown(document: unknown, path: readonly PropertyKey[]): string {
  if (path.some((part) => secret.test(String(part)))) return '';
  let value = document;
  for (const part of path) value = (value as Record<PropertyKey, unknown> | null | undefined)?.[part];
  if (value === undefined || (typeof value === 'object' && value !== null)) return '';
  if (typeof value === 'string' && secretValue.test(value)) return '';
  return `is ${JSON.stringify(value).slice(0, 120)}; it `;
}

function withFlags(
  config: Config,
  flags: ConfigFlags,
  place: Pick<Sources, 'environment'> & { readonly cwd: string },
  problems: Problem[],
): Config {
  const { upstream } = flags;
  const store = storeOf(flags.store, place, problems);
  if (upstream !== undefined && !(/^wss?:\/\/[^/]/.test(upstream) && URL.canParse(upstream)))
    problems.push({ path: '--upstream', message: `is "${upstream}"; give a ws:// or wss:// URL` });
  const accounts = config.accounts.map((account): AccountConfig => ({
    ...account,
    ...(upstream === undefined ? {} : { upstream: { twilio: upstream, jambonz: upstream } }),
    ...(store === undefined ? {} : { store }),
  }));
  return {
    ...config,
    media: { ...config.media, port: portOf(flags.mediaPort, config.media.port, '--media-port', problems) },
    control: {
      ...config.control,
      port: portOf(flags.controlPort, config.control.port, '--control-port', problems),
    },
    accounts,
  };
}

function storeOf(
  store: string | undefined,
  { environment, cwd }: { readonly environment: Environment; readonly cwd: string },
  problems: Problem[],
): StoreConfig | undefined {
  if (store === undefined) return undefined;
  if (!/^[a-z][a-z0-9+-]+:\/\//i.test(store)) return { type: 'file', dir: resolve(cwd, store) };
  const found = isBucketUrl(store) ? bucketStore(store, environment) : null;
  if (found !== null && 'store' in found) return found.store;
  const value = secretValue.test(store) ? '' : `is "${store}"; `;
  const message = `${value}${found?.problem ?? 'give a folder or s3://bucket/prefix; other stores are written into the configuration'}`;
  problems.push({ path: '--store', message });
  return undefined;
}

function portOf(flag: number | undefined, configured: number, name: string, problems: Problem[]): number {
  if (flag === undefined) return configured;
  if (!Number.isInteger(flag) || flag < 0 || flag > 65_535)
    problems.push({ path: name, message: `is ${flag}; give a TCP port from 0 to 65535` });
  return flag;
}

/** What is right key by key and wrong together. */
function contradictions(config: Config): Problem[] {
  return [...doubleIds(config), ...togetherProblems(config), ...samePorts(config)];
}

function togetherProblems(config: Config): Problem[] {
  return [
    ...doubleKeys(config),
    ...nestedFolders(config),
    ...unknownPrompts(config),
    ...roomsOfAnybody(config),
    ...unreachableRooms(config),
  ];
}

function doubleIds({ accounts }: Config): Problem[] {
  const ids = accounts.map(({ id }) => id);
  return ids.flatMap((id, index) =>
    ids.indexOf(id) === index
      ? []
      : [
          {
            path: `accounts[${index}].id`,
            message: `is "${id}", which accounts[${ids.indexOf(id)}] has already`,
          },
        ],
  );
}

/** A key that opens two accounts would show one tenant the other's calls. */
function doubleKeys(config: Config): Problem[] {
  const owners = new Map(config.control.adminKeys.map(({ sha256 }) => [sha256, 'control.adminKeys']));
  const problems: Problem[] = [];
  for (const [index, { apiKeys }] of config.accounts.entries()) {
    const path = `accounts[${index}].apiKeys`;
    for (const digest of new Set(apiKeys.map(({ sha256 }) => sha256))) {
      const owner = owners.get(digest);
      if (owner === undefined) owners.set(digest, path);
      else problems.push({ path, message: `has a key that is in ${owner} too; give each its own` });
    }
  }
  return problems;
}

function unknownPrompts({ prompts, accounts }: Config): Problem[] {
  const known = [...Object.keys(prompts), beepName];
  return accounts.flatMap(({ prompt }, index) => {
    if (prompt === null || known.includes(prompt)) return [];
    const message = `is "${prompt}"; it must be one of ${known.join(', ')}`;
    return [{ path: `accounts[${index}].prompt`, message }];
  });
}

/** A call that is to go to a room needs the server that has it, and can only hear it as a stream. */
function unreachableRooms({ accounts }: Config): Problem[] {
  return accounts.flatMap(({ upstream, livekit, jambonz }, index) => {
    const names = (['twilio', 'jambonz'] as const).filter((name) => isRoomUrl(upstream[name] ?? ''));
    const path = `accounts[${index}]`;
    if (names.length > 0 && livekit === null)
      return [{ path: `${path}.livekit`, message: 'is missing; its upstream is a room of the server there' }];
    if (!names.includes('jambonz') || jambonz.returns !== 'playAudio') return [];
    const message = 'is "playAudio"; what is said in a room can only be streamed: say "streaming"';
    return [{ path: `${path}.jambonz.returns`, message }];
  });
}

/** Whose a room is is known by the account that has the keys of its server; any account has none. */
function roomsOfAnybody({ accounts }: Config): Problem[] {
  return accounts.flatMap(({ id, livekit }, index) => {
    if (id !== '*' || livekit === null) return [];
    const message = 'is given to "*", and a room needs an account of its own; give that an id';
    return [{ path: `accounts[${index}].livekit`, message }];
  });
}

/** What lies in the spool is deleted once it is in the store, so the two must never be the same files. */
function nestedFolders({ spool, accounts }: Config): Problem[] {
  return accounts.flatMap(({ store }, index) => {
    if (store?.type !== 'file' || !(isWithin(spool.dir, store.dir) || isWithin(store.dir, spool.dir)))
      return [];
    const message = `is "${store.dir}", which overlaps spool.dir "${spool.dir}"; give the store a folder of its own`;
    return [{ path: `accounts[${index}].store.dir`, message }];
  });
}

function isWithin(outer: string, inner: string): boolean {
  const path = relative(linkless(outer), linkless(inner));
  return path === '' || (!path.startsWith('..') && !isAbsolute(path));
}

/** Symbolic links followed as far as the path exists: two names may be one folder. */
function linkless(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return dirname(path) === path ? path : join(linkless(dirname(path)), basename(path));
  }
}

function samePorts({ media, control }: Config): Problem[] {
  if (media.port === 0 || media.port !== control.port) return [];
  return [{ path: 'control.port', message: `is ${control.port}, like media.port; give each its own` }];
}

function invalid(file: string | undefined, problems: readonly Problem[]): ReelayError {
  const lines = problems.map(({ path, message }) => `\n  ${path} ${message}`);
  const value = file ?? 'environment and flags';
  return new ReelayError('config_invalid', { value, remedy: `Mend these:${lines.join('')}` });
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(freeze);
    Object.freeze(value);
  }
  return value;
}
