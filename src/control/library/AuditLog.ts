import { createHash, randomUUID } from 'node:crypto';
import { appendFile, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ObjectStore } from '../../storage/ObjectStore.js';
import { type AuditEntry, entriesIn, linesOf } from './AuditEntry.js';

export interface AuditLogOptions {
  /** Folder for what is not in a store yet; only names that begin with `audit-` are touched. */
  readonly dir: string;
  /** Null: the account has none, and what was done with its recordings is in the daemon's log alone. */
  readonly storeOf: (accountId: string) => Promise<ObjectStore | null>;
  readonly log: Logger;
  /** Ms since some moment. Default: the process's. */
  readonly nowMs?: () => number;
}

/** How often what was noted goes into stores, ms. */
const storeMs = 60_000;
/** How often it does so at most for somebody who asks for it, ms: each time makes an object in every store. */
const soonestMs = 10_000;
/** How long the end of a process is held up by stores that don't answer, ms. */
const patienceMs = 2000;
/** Entries in hand before they are written to the disk, and how long they wait for others, ms. */
const mostInHand = 1000;
const writeMs = 200;
/** Entries of one object; an entry is some 250 bytes, and two kilobytes with the longest names. */
const mostInObject = 2000;
/** Larger objects among them are somebody else's. */
export const mostObjectBytes = 4 * 2 ** 20;

/**
 * Notes who reads, steers and deletes recordings. An entry is on this machine's disk a moment later, and within a minute in the account's
 * own store, an object or a few per minute and process:
 *
 *     _reelay/<account>/audit/<YYYYMMDD>/<HHMMSS>-<id>.jsonl
 */
export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #nowMs: () => number;
  readonly #current: string;
  #inHand: AuditEntry[] = [];
  #writing: Promise<void> = Promise.resolve();
  #soon: NodeJS.Timeout | null = null;
  #storing: NodeJS.Timeout | null = null;
  /** One round after the other: an object is written by one of them. */
  #round: Promise<void> = Promise.resolve();
  #askedMs = -Infinity;

  constructor(options: AuditLogOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
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

  /** For somebody who wants to read it: {@link store}, unless that was asked for just now. Never rejects. */
  async storeSoon(): Promise<void> {
    if (this.#nowMs() - this.#askedMs >= soonestMs) {
      this.#askedMs = this.#nowMs();
      void this.store();
    }
    await this.#round;
  }

  /** Writes what is in hand and puts all that lies here into stores, also what a former process has left. Never rejects. */
  async store(): Promise<void> {
    this.#round = this.#round.then(async () => await this.#storeAll());
    await this.#round;
  }

  /** What no store takes by then waits on the disk for the next process. */
  async stop(): Promise<void> {
    if (this.#storing !== null) clearInterval(this.#storing);
    this.#storing = null;
    const stored = new AbortController();
    const late = sleep(patienceMs, undefined, { signal: stored.signal }).catch(() => undefined);
    await Promise.race([this.store(), late]);
    stored.abort();
    await this.#write();
  }

  #write(): Promise<void> {
    if (this.#soon !== null) clearTimeout(this.#soon);
    this.#soon = null;
    const entries = this.#inHand.splice(0);
    if (entries.length === 0) return this.#writing;
    this.#writing = this.#writing
      .then(async () => await appendFile(this.#current, linesOf(entries)))
      .catch((error: unknown) => {
        this.#options.log.error(
          { err: error, entries: entries.length },
          'what was done with recordings could not be noted',
        );
      });
    return this.#writing;
  }

  async #storeAll(): Promise<void> {
    await this.#write();
    const { dir, log } = this.#options;
    const others = (await readdir(dir).catch(() => [])).filter((name) => growing.test(name));
    // No two of them have one name, however fast they come.
    const done = (name: string): string =>
      join(dir, `${name.slice(0, -'.jsonl'.length)}.${process.hrtime.bigint()}.done`);
    await rename(this.#current, done(basename(this.#current))).catch(() => undefined);
    const closed = (await readdir(dir).catch(() => [])).filter((name) => complete.test(name));
    const failed = new Set<string>();
    for (const name of closed)
      await this.#storeFile(join(dir, name), failed).catch((error: unknown) =>
        log.warn({ err: error }, 'what was done with recordings could not be stored yet'),
      );
    // Another process may still be writing to its own. It goes on in a new file, and this one is stored the next time.
    for (const name of others)
      if (name !== basename(this.#current)) await rename(join(dir, name), done(name)).catch(() => undefined);
  }

  /**
   * A file holds entries of several accounts. What can't be stored yet stays in it.
   *
   * @param failed - accounts whose stores don't take anything now; those that are found out are added
   */
  async #storeFile(file: string, failed: Set<string>): Promise<void> {
    const entries = entriesIn(await readFile(file, 'utf8'));
    const left: AuditEntry[] = [];
    for (const mine of grouped(entries)) {
      const accountId = mine[0]?.accountId ?? '';
      if (!failed.has(accountId) && (await this.#storeMine(accountId, mine, file))) continue;
      failed.add(accountId);
      for (const each of mine) left.push(each);
    }
    if (left.length === 0) await rm(file, { force: true });
    else if (left.length < entries.length) await replace(file, linesOf(left));
  }

  /** @returns whether it is where it belongs. Never rejects */
  async #storeMine(accountId: string, entries: readonly AuditEntry[], file: string): Promise<boolean> {
    const { storeOf, log } = this.#options;
    try {
      const store = await storeOf(accountId);
      if (store === null) this.#log(entries);
      else
        for (let at = 0; at < entries.length; at += mostInObject)
          await this.#put(store, accountId, entries.slice(at, at + mostInObject), file);
      return true;
    } catch (error) {
      log.warn({ err: error, accountId }, 'what was done with recordings could not be stored yet');
      return false;
    }
  }

  /** Where there is no store this log is what keeps it. */
  #log(entries: readonly AuditEntry[]): void {
    for (const { accountId, recordingId, ...entry } of entries)
      this.#options.log.info(
        { accountId, ...(recordingId === '' ? {} : { recordingId }), audit: entry },
        'something was done with a recording of an account without a store',
      );
  }

  async #put(
    store: ObjectStore,
    accountId: string,
    entries: readonly AuditEntry[],
    file: string,
  ): Promise<void> {
    const text = linesOf(entries);
    const sha256 = createHash('sha256').update(text).digest('hex');
    const [first] = entries;
    const [day = '', time = ''] = (first?.time ?? '').replace(/[-:]/g, '').split('T');
    // The same entries under the same name: what was stored before a crash is stored over.
    const key = `_reelay/${accountId}/audit/${day}/${time.slice(0, 6)}-${sha256.slice(0, 16)}.jsonl`;
    const part = `${file}.${sha256.slice(0, 8)}`;
    try {
      await writeFile(part, text);
      await store.put(key, part, { sha256 });
    } finally {
      await rm(part, { force: true });
    }
  }
}

/** A file that somebody writes to, or a former process has left; and one that nobody writes to any more. */
const growing = /^audit-[0-9a-f-]{36}\.jsonl$/;
const complete = /^audit-[0-9a-f-]{36}\.\d+\.done$/;

async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.left`, text);
  await rename(`${file}.left`, file);
}

/** Those of one account and day together, in their order. */
function grouped(entries: readonly AuditEntry[]): AuditEntry[][] {
  const groups = new Map<string, AuditEntry[]>();
  for (const each of entries) {
    const name = `${each.time.slice(0, 10)} ${each.accountId}`;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [each]);
    else group.push(each);
  }
  return [...groups.values()];
}
