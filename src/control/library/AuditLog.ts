import { createHash, randomUUID } from 'node:crypto';
import { appendFile, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { ObjectStore } from '../../storage/ObjectStore.js';

/** Who did what with a recording. */
export interface AuditEntry {
  /** ISO 8601. */
  readonly time: string;
  readonly accountId: string;
  readonly recordingId: string;
  /** Name of the key, `a link`, or `this machine`. */
  readonly who: string;
  /** Address that it came from; a proxy's where there is one. */
  readonly address: string;
  /** Method and route, as the API has it: `GET /v1/recordings/:id/audio.wav`. */
  readonly deed: string;
  /** HTTP status of the answer. */
  readonly status: number;
}

const entry: z.ZodType<AuditEntry> = z.looseObject({
  time: z.iso.datetime(),
  accountId: z.string().min(1),
  recordingId: z.string(),
  who: z.string(),
  address: z.string(),
  deed: z.string(),
  status: z.number(),
});

export interface AuditLogOptions {
  /** Folder for what is not in a store yet; only names that begin with `audit-` are touched. */
  readonly dir: string;
  /** Null: the account has none, and what was done with its recordings is in the daemon's log alone. */
  readonly storeOf: (accountId: string) => Promise<ObjectStore | null>;
  readonly log: Logger;
}

/** How often what was noted goes into stores, ms. */
const storeMs = 60_000;
/** Entries in hand before they are written to the disk, and how long they wait for others, ms. */
const mostInHand = 1000;
const writeMs = 200;

/**
 * Notes who reads, steers and deletes recordings. An entry is on this machine's disk a moment later, and within a minute in the account's
 * own store, one object per minute and process:
 *
 *     _reelay/<account>/audit/<YYYYMMDD>/<HHMMSS>-<id>.jsonl
 */
export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #current: string;
  #inHand: AuditEntry[] = [];
  #writing: Promise<void> = Promise.resolve();
  #soon: NodeJS.Timeout | null = null;
  #storing: NodeJS.Timeout | null = null;

  constructor(options: AuditLogOptions) {
    this.#options = options;
    this.#current = join(options.dir, `audit-${randomUUID()}.jsonl`);
  }

  start(): void {
    this.#storing ??= setInterval(() => void this.store(), storeMs).unref();
  }

  /** Never throws, and nobody waits for it. */
  note(noted: AuditEntry): void {
    this.#inHand.push(noted);
    if (this.#inHand.length >= mostInHand) void this.#write();
    else this.#soon ??= setTimeout(() => void this.#write(), writeMs);
  }

  /** Writes what is in hand and puts all that lies here into stores, also what a former process has left. Never rejects. */
  async store(): Promise<void> {
    await this.#write();
    const { dir, log } = this.#options;
    await rename(this.#current, `${this.#current.slice(0, -'.jsonl'.length)}.${Date.now()}.done`).catch(
      () => undefined,
    );
    const names = await readdir(dir).catch(() => []);
    for (const name of names.filter((each) => isLeft(each, basename(this.#current))))
      await this.#storeFile(join(dir, name)).catch((error: unknown) =>
        log.warn({ err: error }, 'what was done with recordings could not be stored yet'),
      );
  }

  async stop(): Promise<void> {
    if (this.#storing !== null) clearInterval(this.#storing);
    this.#storing = null;
    await this.store();
  }

  #write(): Promise<void> {
    if (this.#soon !== null) clearTimeout(this.#soon);
    this.#soon = null;
    const entries = this.#inHand.splice(0);
    if (entries.length === 0) return this.#writing;
    const text = entries.map((each) => `${JSON.stringify(each)}\n`).join('');
    this.#writing = this.#writing
      .then(async () => await appendFile(this.#current, text))
      .catch((error: unknown) => {
        this.#options.log.error(
          { err: error, entries: entries.length },
          'what was done with recordings could not be noted',
        );
      });
    return this.#writing;
  }

  /** A file holds entries of several accounts; it goes when each account's are in its store. */
  async #storeFile(file: string): Promise<void> {
    const entries = linesIn(await readFile(file, 'utf8'));
    for (const [accountId, mine] of grouped(entries)) {
      const store = await this.#options.storeOf(accountId);
      if (store !== null) await this.#put(store, accountId, mine, file);
    }
    await rm(file, { force: true });
  }

  async #put(
    store: ObjectStore,
    accountId: string,
    entries: readonly AuditEntry[],
    file: string,
  ): Promise<void> {
    const text = entries.map((each) => `${JSON.stringify(each)}\n`).join('');
    const sha256 = createHash('sha256').update(text).digest('hex');
    const [first] = entries;
    const [day = '', time = ''] = (first?.time ?? '').replace(/[-:]/g, '').split('T');
    // The same entries under the same name: what was stored before a crash is stored over.
    const key = `_reelay/${accountId}/audit/${day}/${time.slice(0, 6)}-${sha256.slice(0, 16)}.jsonl`;
    const part = `${file}.${sha256.slice(0, 8)}`;
    try {
      await appendFile(part, text, { flag: 'w' });
      await store.put(key, part, { sha256 });
    } finally {
      await rm(part, { force: true });
    }
  }
}

/** What was done with an account's recordings on a day, in order. @param day - `YYYYMMDD` */
export async function auditOf(store: ObjectStore, accountId: string, day: string): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = [];
  for await (const { key } of store.list(`_reelay/${accountId}/audit/${day}/`))
    entries.push(...linesIn((await buffer(await store.read(key))).toString()));
  const own = entries.filter((each) => each.accountId === accountId);
  return own.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
}

/** Files that a former process left, or this one has closed. */
function isLeft(name: string, current: string): boolean {
  return /^audit-[0-9a-f-]{36}(?:\.jsonl|\.\d+\.done)$/.test(name) && name !== current;
}

/** A line that a crash has cut isn't one. */
function linesIn(text: string): AuditEntry[] {
  return text.split('\n').flatMap((line) => {
    try {
      const { success, data } = entry.safeParse(JSON.parse(line));
      return success ? [data] : [];
    } catch {
      return [];
    }
  });
}

function grouped(entries: readonly AuditEntry[]): Map<string, AuditEntry[]> {
  const byAccount = new Map<string, AuditEntry[]>();
  for (const each of entries) {
    const mine = byAccount.get(each.accountId);
    if (mine === undefined) byAccount.set(each.accountId, [each]);
    else mine.push(each);
  }
  return byAccount;
}
