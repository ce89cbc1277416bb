import { blameOf, codeOf } from './blameOf.js';
import type { Clock } from './Clock.js';
import type { HeldRecordings } from './HeldRecordings.js';
import type { Lanes } from './Lanes.js';
import type { Parking, Permit } from './Parking.js';
import { type Backoff, persist } from './Retry.js';
import type { UploadObserver } from './UploadObserver.js';
import type { UploadStep } from './UploadStep.js';

/** What every visit shares. */
export interface VisitHome {
  readonly clock: Clock;
  readonly backoff: Backoff;
  readonly observer: UploadObserver;
  readonly lanes: Lanes;
  readonly parking: Parking;
  readonly held: HeldRecordings;
  /** Ends everything at once. */
  readonly stop: AbortSignal;
  /** Told when a visit goes to sleep between two attempts, and when it wakes up. */
  readonly slept: (folder: string, sleeps: boolean) => void;
}

/** How long a recording may keep its place in the lane while others wait for it, ms of the clock. */
const patienceMs = 1000;

/** One look at one recording: everything that it asks of a store goes through here. */
export class Visit {
  readonly folder: string;
  readonly accountId: string;
  readonly #home: VisitHome;
  readonly #permit: Permit;
  readonly #beganMs: number;
  /** Attempts that go on. */
  #asking = 0;
  /** Attempts that are waited with. */
  #asleep = 0;
  /** It has given its place in the lane away. */
  #isAway = false;
  #returning: Promise<void> | null = null;

  constructor(home: VisitHome, accountId: string, folder: string, permit: Permit) {
    this.#home = home;
    this.#permit = permit;
    this.#beganMs = home.clock.now();
    this.accountId = accountId;
    this.folder = folder;
  }

  get observer(): UploadObserver {
    return this.#home.observer;
  }

  get isProbe(): boolean {
    return this.#permit.isProbe;
  }

  /** Aborts when the account is parked, or everything ends. */
  get signal(): AbortSignal {
    return this.#permit.signal;
  }

  /** @throws when the account was parked meanwhile, or everything ends */
  proceed(): void {
    this.#permit.signal.throwIfAborted();
  }

  /** Whether others of the lane have waited long enough for this one's place. */
  get isDue(): boolean {
    const { clock, lanes } = this.#home;
    return clock.now() - this.#beganMs > patienceMs && lanes.isWanted(this.accountId);
  }

  /** The account has a store, and it is the one that this recording belongs into. */
  settled(): void {
    this.#home.held.release(this.folder);
  }

  step(name: UploadStep): void {
    this.#home.observer.step?.(name);
  }

  /**
   * Asks the account's store for something, for as long as it takes.
   *
   * @param name - of the one object that this is about
   * @throws an error whose blame is not `transient`; the signal's reason
   */
  async ask<T>(action: () => Promise<T>, name?: string): Promise<T> {
    const answer = await this.askWhere(action, name);
    if (this.isProbe) this.#home.parking.proved(this.accountId);
    return answer;
  }

  /** Asks which store the account has, in the same way; the answer says nothing about the store. */
  async askWhere<T>(action: () => Promise<T>, name?: string): Promise<T> {
    this.proceed();
    return await this.again(async () => {
      this.#asking++;
      return await unless(this.#home.stop, action()).finally(() => {
        this.#asking--;
        // A turn later: usually the next attempt has begun by then.
        setImmediate(() => this.#fallAsleep());
      });
    }, name);
  }

  /** Does something that asks the store in its turn, and all of it again when that fails for now. */
  async again<T>(action: () => Promise<T>, name: string | null = null): Promise<T> {
    return await persist(action, this.#home.backoff, {
      signal: this.#permit.signal,
      pause: async (error, delayMs) => await this.#pause(error, delayMs, name),
    });
  }

  /** When nothing of this recording goes on meanwhile, it sleeps outside the lane: what fails doesn't hold up what doesn't. */
  async #pause(error: Error, delayMs: number, name: string | null): Promise<void> {
    const { observer, lanes, clock } = this.#home;
    const { folder, accountId } = this;
    observer.retrying({ folder, name, error, delayMs, blame: blameOf(error), code: codeOf(error) });
    this.#asleep++;
    this.#fallAsleep();
    try {
      await clock.sleep(delayMs, this.#permit.signal);
    } finally {
      this.#asleep--;
      this.#home.slept(folder, false);
      if (this.#isAway) {
        this.#returning ??= lanes.return(accountId).then(() => {
          this.#isAway = false;
          this.#returning = null;
        });
        await this.#returning;
      }
    }
  }

  #fallAsleep(): void {
    if (this.#asking > 0 || this.#asleep === 0) return;
    if (!this.#isAway) this.#isAway = this.#home.lanes.leave(this.accountId);
    this.#home.slept(this.folder, true);
  }
}

/** Rejects when the signal aborts; the attempt goes on by itself then, and nobody waits for it. */
async function unless<T>(signal: AbortSignal, attempt: Promise<T>): Promise<T> {
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
  });
  return await Promise.race([attempt, aborted]).finally(() => signal.removeEventListener('abort', abort));
}
