import type { EventJournal } from './EventJournal.js';
import { eventIdOf, type ToldEvent } from './RecordingEvents.js';

export interface UnpostedEventsOptions {
  readonly journal: EventJournal;
  /**
   * Puts events into the outbox.
   *
   * @returns those that can't be posted for now, though the outbox is there
   * @throws ReelayError `catalogue_unavailable`
   */
  readonly post: (events: readonly ToldEvent[]) => Promise<readonly ToldEvent[]>;
  /** There was no room for it, neither in memory nor on the disk. */
  readonly dropped: (event: ToldEvent) => void;
  /** Default: 10,000. */
  readonly mostInMemory?: number;
}

const mostInMemoryByDefault = 10_000;
/** Events that are posted at once. */
const postedAtOnce = 32;
/** A journal is written anew when it is longer than this, bytes, and most of what is in it was posted. */
const longJournal = 2 ** 20;

/**
 * Events that were told and no outbox has yet. Each lies on the disk a moment after it was told, so that neither a catalogue that is away
 * nor the end of this process loses it, and in memory as long as there is room; they are posted in the order in which they were told,
 * except that one which can't be posted for now lets others pass. Posted twice is posted once: events have names.
 */
export class UnpostedEvents {
  readonly #options: UnpostedEventsOptions;
  readonly #mostInMemory: number;
  readonly #waiting = new Map<string, ToldEvent>();
  /** There was no room for some in memory: they, and what was told since, are in the journal alone. */
  #isBehind = false;
  /** Events that were appended since the journal was written anew. */
  #appended = 0;

  constructor(options: UnpostedEventsOptions) {
    this.#options = options;
    this.#mostInMemory = options.mostInMemory ?? mostInMemoryByDefault;
  }

  /** Resolves when it is kept, or can't be. Never rejects. */
  async tell(event: ToldEvent): Promise<void> {
    const id = eventIdOf(event);
    const isInMemory = this.#waiting.has(id) || (!this.#isBehind && this.#waiting.size < this.#mostInMemory);
    if (!this.#waiting.has(id) && isInMemory) this.#waiting.set(id, event);
    this.#isBehind ||= !isInMemory;
    this.#appended++;
    const isKept = await this.#options.journal.append(event);
    if (!isKept && !isInMemory) this.#options.dropped(event);
  }

  /** What others have told, and not posted, is to be posted, too. @see EventJournal.takeUp */
  async takeUp(): Promise<void> {
    await this.#options.journal.takeUp();
  }

  /** Posts what it can. @throws ReelayError `catalogue_unavailable` */
  async post(): Promise<void> {
    do {
      await this.#postLeft();
      await this.#postWaiting();
    } while (await this.#tidyUp());
  }

  async close(): Promise<void> {
    await this.#options.journal.close();
  }

  async #postLeft(): Promise<void> {
    const { journal, post } = this.#options;
    await journal.drain(async (events) => {
      for (const each of await post(events)) if (!this.#waiting.has(eventIdOf(each))) await this.tell(each);
    });
  }

  async #postWaiting(): Promise<void> {
    const waiting = [...this.#waiting.values()];
    while (waiting.length > 0) {
      const events = waiting.splice(0, postedAtOnce);
      const left = new Set(await this.#options.post(events));
      for (const each of events) if (!left.has(each)) this.#waiting.delete(eventIdOf(each));
    }
  }

  /** @returns whether there is something to be posted that wasn't in memory */
  async #tidyUp(): Promise<boolean> {
    const { journal } = this.#options;
    const { size } = this.#waiting;
    const isLate = this.#isBehind && size <= this.#mostInMemory / 2;
    const isLong = size > 0 && journal.bytes > longJournal && this.#appended > 4 * size;
    if (isLate || isLong) await this.#renew();
    else if (size === 0) await journal.clear(() => this.#waiting.size === 0 && !this.#isBehind);
    return isLate;
  }

  /** What waits goes into a fresh journal. The old one is gone through once more, for what is in it alone. */
  async #renew(): Promise<void> {
    this.#isBehind = false;
    this.#appended = 0;
    await this.#options.journal.leave();
    for (const each of this.#waiting.values()) void this.tell(each);
  }
}
