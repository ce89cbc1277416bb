import type { Logger } from 'pino';
import type { Delivery, Outbox } from '../../catalogue/Delivery.js';

export interface HeldUpLinesOptions {
  readonly outbox: Outbox;
  /** Keeps a delivery in its account's store, and lets it go again. May fail. */
  readonly keep: (delivery: Delivery) => Promise<void>;
  readonly letGo: (delivery: Delivery) => Promise<void>;
  readonly log: Logger;
}

/** What waits for one another: the events of an account's recording for an endpoint. */
type Line = Pick<Delivery, 'accountId' | 'recordingId' | 'endpoint'>;

/** Lines that are known to be held up; what comes to one that isn't remembered is kept at its next failure. */
const mostHeldUp = 10_000;

/** Lines whose first delivery wasn't taken: all of such a line may wait for long, so it is kept where no catalogue's loss touches it. */
export class HeldUpLines {
  readonly #options: HeldUpLinesOptions;
  readonly #heldUp = new Set<string>();
  /** Those of them in which something isn't kept yet. */
  readonly #unkept = new Map<string, Line>();
  #keeping: Promise<void> = Promise.resolve();

  constructor(options: HeldUpLinesOptions) {
    this.#options = options;
  }

  /** Its first wasn't taken. */
  add(line: Line): void {
    this.#heldUp.add(nameOf(line));
    const [oldest] = this.#heldUp;
    if (this.#heldUp.size > mostHeldUp && oldest !== undefined) this.#heldUp.delete(oldest);
    this.#keepSoon(line);
  }

  /** Something was added to a line. */
  posted(line: Line): void {
    if (this.#heldUp.has(nameOf(line))) this.#keepSoon(line);
  }

  /** Nothing of a delivery is to be done any more. @param isKept - as the outbox says */
  async settled(delivery: Delivery, isKept: boolean): Promise<void> {
    this.#heldUp.delete(nameOf(delivery));
    if (isKept) await this.#mindfully(this.#letGo(delivery));
  }

  /** Resolves when everything that was to be kept is. */
  async idle(): Promise<void> {
    await this.#keeping;
  }

  /** One line after the other; nobody waits for it. */
  #keepSoon(line: Line): void {
    if (this.#unkept.has(nameOf(line))) return;
    this.#unkept.set(nameOf(line), line);
    this.#keeping = this.#keeping.then(async () => {
      this.#unkept.delete(nameOf(line));
      await this.#mindfully(this.#keep(line));
    });
  }

  async #keep({ accountId, recordingId, endpoint }: Line): Promise<void> {
    const { outbox, keep } = this.#options;
    const waiting = async (): Promise<Delivery[]> =>
      (await outbox.deliveriesOf(recordingId, accountId)).filter(
        (each) => each.endpoint === endpoint && each.state === 'waiting',
      );
    const unkept = (await waiting()).filter(({ isKept }) => !isKept);
    for (const each of unkept) {
      await keep({ ...each, isKept: true });
      await outbox.markKept(each, true);
    }
    // What was delivered meanwhile was settled before anybody knew that it is kept.
    const left = new Set((await waiting()).map(({ eventId }) => eventId));
    for (const each of unkept) if (!left.has(each.eventId)) await this.#letGo(each);
  }

  async #letGo(delivery: Delivery): Promise<void> {
    await this.#options.letGo(delivery);
    await this.#options.outbox.markKept(delivery, false);
  }

  /** It is in the catalogue; a store that can't be asked holds nothing up. */
  async #mindfully(work: Promise<void>): Promise<void> {
    await work.catch((error: unknown) =>
      this.#options.log.debug({ err: error }, 'an event is in the catalogue alone'),
    );
  }
}

function nameOf({ accountId, recordingId, endpoint }: Line): string {
  return `${accountId} ${recordingId} ${endpoint}`;
}
