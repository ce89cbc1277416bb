import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import type { Logger } from 'pino';

/**
 * Why nobody but who asks for it has a room recorded: its recording was `ended` by somebody, the recorder was `removed`, it was `paused` as it
 * was left or lost; it couldn't be joined (`failed`), or nothing of it could be kept (`unkept`).
 */
export type Declined = 'ended' | 'removed' | 'paused' | 'failed' | 'unkept';

/** What somebody wanted, and what therefore holds for the next daemon as well. */
const lasting: readonly string[] = ['ended', 'removed', 'paused'];
/** How long such a room is remembered after it was last asked about, ms: while it is there that happens every 15 s. */
const rememberedMs = 24 * 3_600_000;
/** How much of that may pass before it is written down that a room is still there, ms. */
const slackMs = 3_600_000;
/** How long a room isn't tried again that couldn't be joined, ms: each try is a recording. */
const restMs = 300_000;
/** The file is written as a whole by the thread that moves media. */
const most = 4000;

/**
 * The rooms that aren't to be recorded again by themselves, also after the daemon was started again. They lie in one small file beside the
 * folders of the daemons; the one that has been taken over from writes it no more, and its successor reads it after that.
 */
export class DeclinedRooms {
  readonly #path: string | null;
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #rooms = new Map<string, { readonly why: Declined; untilMs: number }>();
  #isDirty = false;
  #isClosed = false;
  #writing: Promise<void> | null = null;

  /**
   * @param path - of the file; null: nothing is kept
   * @param now - wall clock, ms since the epoch
   */
  constructor(path: string | null, log: Logger, now: () => number = Date.now) {
    this.#path = path;
    this.#log = log;
    this.#now = now;
  }

  /** Takes up what there is. A file that can't be read is told, and costs what it says. */
  load(): void {
    if (this.#path === null) return;
    try {
      const { rooms } = JSON.parse(readFileSync(this.#path, 'utf8')) as { rooms: unknown };
      if (!Array.isArray(rooms)) throw new TypeError('there is no list of rooms in it');
      for (const each of rooms as readonly unknown[]) {
        const [key, why, untilMs] = Array.isArray(each) ? (each as readonly unknown[]) : [];
        if (typeof key === 'string' && isLasting(why) && typeof untilMs === 'number')
          this.#rooms.set(key, { why, untilMs });
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      this.#log.warn(
        { err: error, path: this.#path },
        'which rooms are not to be recorded again cannot be read',
      );
    }
  }

  /** @param key - of a room, with its sid: another one of the same name is another room */
  whyOf(key: string): Declined | null {
    const room = this.#rooms.get(key);
    if (room === undefined) return null;
    const nowMs = this.#now();
    if (nowMs >= room.untilMs) {
      this.#rooms.delete(key);
      return null;
    }
    if (isLasting(room.why) && room.untilMs - nowMs < rememberedMs - slackMs) {
      room.untilMs = nowMs + rememberedMs;
      this.#save();
    }
    return room.why;
  }

  decline(key: string, why: Declined): void {
    const forMs = why === 'failed' ? restMs : why === 'unkept' ? Infinity : rememberedMs;
    this.#rooms.delete(key);
    this.#rooms.set(key, { why, untilMs: this.#now() + forMs });
    const [oldest] = this.#rooms.keys();
    if (this.#rooms.size > most && oldest !== undefined) this.#rooms.delete(oldest);
    if (isLasting(why)) this.#save();
  }

  allow(key: string): void {
    if (this.#rooms.delete(key)) this.#save();
  }

  /** Somebody else writes the file from now on. */
  close(): void {
    this.#isClosed = true;
  }

  /** Resolves when the file has what is known. Never rejects. */
  async written(): Promise<void> {
    await this.#writing;
  }

  #save(): void {
    if (this.#path === null || this.#isClosed) return;
    this.#isDirty = true;
    this.#writing ??= this.#write(this.#path).finally(() => (this.#writing = null));
  }

  async #write(path: string): Promise<void> {
    while (this.#isDirty) {
      this.#isDirty = false;
      const rooms = [...this.#rooms].flatMap(([key, { why, untilMs }]) =>
        isLasting(why) ? [[key, why, untilMs]] : [],
      );
      try {
        await writeFile(`${path}.tmp`, JSON.stringify({ rooms }), { flush: true });
        await rename(`${path}.tmp`, path);
      } catch (error) {
        this.#log.warn(
          { err: error, path },
          'which rooms are not to be recorded again cannot be written down',
        );
      }
    }
  }
}

function isLasting(why: unknown): why is Declined {
  return typeof why === 'string' && lasting.includes(why);
}
