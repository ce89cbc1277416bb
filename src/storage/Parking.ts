import { setMaxListeners } from 'node:events';
import type { ErrorCode } from '../config/ReelayError.js';
import type { Clock } from './Clock.js';

/** Why an account is parked, and since when. */
export interface Parked {
  readonly code: ErrorCode;
  /** ms since the Unix epoch. */
  readonly sinceMs: number;
}

export interface ParkingOptions {
  readonly clock: Clock;
  /** Pause between two probes of a parked account, ms of the clock. */
  readonly probeMs: number;
  /** Lets a recording's folder be worked on again. */
  readonly wake: (folder: string) => void;
  readonly parked: (accountId: string, code: ErrorCode, error: Error) => void;
  readonly unparked: (accountId: string) => void;
}

interface ParkedAccount extends Parked {
  /** Folders that wait. */
  readonly held: Set<string>;
  /** The one recording that is tried. */
  probe: string | null;
  /** Folders that were tried in this round and left their store alone, since nothing was to be done. */
  readonly passed: Set<string>;
}

/** What an account's work may use: its signal aborts when the account is parked, the configuration read anew, or everything ends. */
export interface Permit {
  readonly signal: AbortSignal;
  readonly isProbe: boolean;
}

/**
 * Accounts whose own fault it is that nothing can be stored: wrong keys, no bucket, a bucket that was exchanged under a recording.
 * Everything of such an account stops, one alert is given, and one of its recordings is tried now and then.
 */
export class Parking {
  readonly #options: ParkingOptions;
  readonly #stop: AbortSignal;
  readonly #accounts = new Map<string, ParkedAccount>();
  readonly #controllers = new Map<string, AbortController>();

  /** @param stop - ends everything */
  constructor(options: ParkingOptions, stop: AbortSignal) {
    this.#options = options;
    this.#stop = stop;
    stop.addEventListener('abort', () => {
      for (const controller of this.#controllers.values()) controller.abort(stop.reason);
    });
  }

  of(accountId: string): Parked | null {
    const account = this.#accounts.get(accountId);
    return account === undefined ? null : { code: account.code, sinceMs: account.sinceMs };
  }

  /** Leave to work on a recording; null where it has to wait, and is remembered. */
  admit(accountId: string, folder: string): Permit | null {
    const account = this.#accounts.get(accountId);
    if (account !== undefined && account.probe !== folder) {
      account.held.add(folder);
      return null;
    }
    return { signal: this.#controllerOf(accountId).signal, isProbe: account !== undefined };
  }

  /** The account has to be mended first. */
  park(accountId: string, folder: string, code: ErrorCode, error: Error): void {
    const known = this.#accounts.get(accountId);
    known?.held.add(folder);
    if (known !== undefined) return;
    const account = {
      code,
      sinceMs: Date.now(),
      held: new Set([folder]),
      probe: null,
      passed: new Set<string>(),
    };
    this.#accounts.set(accountId, account);
    this.#controllers.get(accountId)?.abort(error);
    this.#controllers.delete(accountId);
    this.#options.parked(accountId, code, error);
    void this.#probeLater(accountId, account);
  }

  /** A probe was answered by the store: the account works again. */
  proved(accountId: string): void {
    const account = this.#accounts.get(accountId);
    if (account === undefined) return;
    this.#accounts.delete(accountId);
    this.#options.unparked(accountId);
    for (const folder of account.held) this.#options.wake(folder);
  }

  /** A probe has ended. One that had nothing to ask of its store proves nothing: the next one is tried. */
  probed(accountId: string, folder: string, failed: boolean): void {
    const account = this.#accounts.get(accountId);
    if (account?.probe !== folder) return;
    account.probe = null;
    if (failed) {
      this.#controllers.get(accountId)?.abort(new Error('its account is parked'));
      this.#controllers.delete(accountId);
      void this.#probeLater(accountId, account);
    } else {
      account.held.delete(folder);
      account.passed.add(folder);
      this.#probe(accountId, account);
    }
  }

  /** Lets every account try again. What is under way begins anew: it may be talking to a store that is configured no more. */
  unparkAll(): void {
    const controllers = [...this.#controllers.values()];
    this.#controllers.clear();
    for (const controller of controllers) controller.abort(new Error('the configuration was read anew'));
    for (const accountId of [...this.#accounts.keys()]) this.proved(accountId);
  }

  async #probeLater(accountId: string, account: ParkedAccount): Promise<void> {
    account.passed.clear();
    await this.#options.clock.sleep(this.#options.probeMs, this.#stop).catch(() => undefined);
    if (this.#stop.aborted || this.#accounts.get(accountId) !== account) return;
    this.#probe(accountId, account);
  }

  #probe(accountId: string, account: ParkedAccount): void {
    const next = [...account.held].find((folder) => !account.passed.has(folder));
    // Nothing waits for this store: the next recording that needs it will find out.
    if (next === undefined) return this.proved(accountId);
    account.probe = next;
    this.#options.wake(next);
  }

  #controllerOf(accountId: string): AbortController {
    const known = this.#controllers.get(accountId);
    if (known !== undefined) return known;
    const controller = new AbortController();
    // Every chunk that is under way listens to it.
    setMaxListeners(0, controller.signal);
    if (this.#stop.aborted) controller.abort(this.#stop.reason);
    this.#controllers.set(accountId, controller);
    return controller;
  }
}
