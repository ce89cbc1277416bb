import { createReadStream } from 'node:fs';
import { appendFile, mkdir, readdir, truncate, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { v7 as uuid } from 'uuid';
import { z } from 'zod';
import { eventTypes } from '../../config/eventTypes.js';
import { documentSchemas } from '../../spool/documentSchemas.js';
import { syncFolder } from '../../spool/durable.js';
import type { ToldEvent } from './RecordingEvents.js';

export interface EventJournalOptions {
  /** Absolute; of its files only those whose names begin with `events-` are touched. */
  readonly dir: string;
  /** Of the file that is written to, bytes. Default: 64 MiB. */
  readonly mostBytes?: number;
  readonly log: Logger;
}

const mostBytesByDefault = 64 * 2 ** 20;
/** Events that are given back at once. */
const givenAtOnce = 32;

const told: z.ZodType<ToldEvent> = z.object({
  type: z.enum(eventTypes),
  manifest: documentSchemas.manifest,
  chunk: z.int().nonnegative().optional(),
  toldMs: z.number(),
});

/**
 * Events on the disk that no outbox is known to have: a line of JSON each, in the order in which they were told. The file that is
 * written to is one process's and thread's; others lie there when their writer has ended, and are read to their end and removed. Whether
 * a writer has ended this can't know: whoever calls {@link takeUp} does.
 */
export class EventJournal {
  readonly #options: EventJournalOptions;
  /** Written to. Names are in the order in which they were made. */
  #name = freshName();
  #bytes = 0;
  /** It is there, and its name would survive a loss of power. */
  #isMade = false;
  /** The disk may have taken a part of the last line. */
  #isTorn = false;
  #inHand: string[] = [];
  #inHandCharacters = 0;
  /** Of what is in hand. */
  #next: Promise<boolean> | null = null;
  #writing: Promise<unknown> = Promise.resolve();
  /** Names of files that nobody writes to any more, the oldest first. */
  #left: string[] = [];

  constructor(options: EventJournalOptions) {
    this.#options = options;
  }

  /** Of the file that is written to. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Resolves when the event would survive a loss of power. Never rejects.
   *
   * @returns whether it would; where there is no room, or the disk refuses, it wouldn't
   */
  append(event: ToldEvent): Promise<boolean> {
    // Its chunks are nobody's business here, and may be thousands.
    const kept = { ...event, manifest: { ...event.manifest, chunks: [] } };
    const line = `${JSON.stringify(kept)}\n`;
    // Of a disk that doesn't answer there is no end.
    if (this.#inHandCharacters + line.length > this.#mostBytes) return Promise.resolve(false);
    this.#inHand.push(line);
    this.#inHandCharacters += line.length;
    this.#next ??= this.#inTurn(() => this.#write());
    return this.#next;
  }

  /** Empties the file that is written to, if all that was appended by then is in the outbox. */
  async clear(isPosted: () => boolean): Promise<void> {
    await this.#inTurn(async () => {
      if (!isPosted() || this.#inHand.length > 0 || this.#bytes === 0) return;
      await truncate(this.#path).catch((error: unknown) => this.#tell(error));
      this.#bytes = 0;
    });
  }

  /** What was appended until now is to be given back by {@link drain}. */
  async leave(): Promise<void> {
    await this.#inTurn(() => {
      if (this.#bytes > 0) this.#left.push(this.#name);
      this.#name = freshName();
      this.#bytes = 0;
      this.#isMade = false;
      return Promise.resolve();
    });
  }

  /** Whatever others have left is to be given back by {@link drain}: no other process or thread writes there. Never rejects. */
  async takeUp(): Promise<void> {
    const names = await readdir(this.#options.dir).catch(() => []);
    const left = names.filter((name) => fileName.test(name) && name !== this.#name);
    this.#left = [...new Set([...left, ...this.#left])].sort();
  }

  /**
   * Gives back what was left, the oldest first, and removes each file when all of it was taken. What can't be read stays where it is.
   *
   * @param take - told of some events at once. What it throws ends this; then all of the file is given back again, the next time
   */
  async drain(take: (events: readonly ToldEvent[]) => Promise<void>): Promise<void> {
    for (let [name] = this.#left; name !== undefined; [name] = this.#left) {
      const path = join(this.#options.dir, name);
      const isRead = await this.#drainFile(path, take);
      this.#left = this.#left.filter((each) => each !== name);
      if (isRead) await unlink(path).catch((error: unknown) => this.#tell(error));
    }
  }

  /** Resolves when all that was appended is written; an empty file goes. */
  async close(): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#bytes === 0) await unlink(this.#path).catch(() => undefined);
    });
  }

  get #mostBytes(): number {
    return this.#options.mostBytes ?? mostBytesByDefault;
  }

  get #path(): string {
    return join(this.#options.dir, this.#name);
  }

  async #write(): Promise<boolean> {
    this.#next = null;
    const text = (this.#isTorn ? '\n' : '') + this.#inHand.splice(0).join('');
    this.#inHandCharacters = 0;
    const { dir } = this.#options;
    const bytes = Buffer.byteLength(text);
    if (this.#bytes + bytes > this.#mostBytes) return false;
    // Also where only a part of it comes to be written: what may hold something is never taken for empty.
    this.#bytes += bytes;
    try {
      if (!this.#isMade) await mkdir(dir, { recursive: true });
      await appendFile(this.#path, text, { flush: true });
      if (!this.#isMade) await syncFolder(dir);
      this.#isMade = true;
      this.#isTorn = false;
      return true;
    } catch (error) {
      this.#isTorn = true;
      this.#tell(error);
      return false;
    }
  }

  /** @returns whether it was read to its end */
  async #drainFile(path: string, take: (events: readonly ToldEvent[]) => Promise<void>): Promise<boolean> {
    const reading = eventsIn(path);
    try {
      for (;;) {
        const next = await reading.next().catch((error: unknown) => this.#tell(error));
        if (next === undefined) return false;
        if (next.done === true) return true;
        await take(next.value);
      }
    } finally {
      await reading.return();
    }
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#writing.then(work);
    this.#writing = mine.catch(() => undefined);
    return await mine;
  }

  #tell(error: unknown): undefined {
    this.#options.log.warn({ err: error }, 'the journal of events cannot be read or written');
  }
}

const fileName = /^events-[0-9a-f-]{36}\.jsonl$/;

function freshName(): string {
  return `events-${uuid()}.jsonl`;
}

/** Some at once. What a crash has cut off is no line, and what isn't an event was never told. @throws the file system's error */
async function* eventsIn(path: string): AsyncGenerator<ToldEvent[], void, undefined> {
  let found: ToldEvent[] = [];
  for await (const line of linesIn(path)) {
    const event = eventIn(line);
    if (event !== null) found.push(event);
    if (found.length < givenAtOnce) continue;
    yield found;
    found = [];
  }
  if (found.length > 0) yield found;
}

async function* linesIn(path: string): AsyncGenerator<string, void, undefined> {
  let rest = '';
  const pieces = createReadStream(path, { encoding: 'utf8' }) as AsyncIterable<string>;
  for await (const piece of pieces) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

function eventIn(line: string): ToldEvent | null {
  try {
    return told.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}
