import type { LiveCall } from './ControlMessage.js';

/** Recordings remembered after their call is gone, until the recorder has announced them. */
const mostRemembered = 10_000;

/** The calls that the media thread says are up. */
export class LiveCalls {
  #calls: readonly LiveCall[] = [];
  readonly #accounts = new Map<string, string>();

  /** Replaces the list. */
  take(calls: readonly LiveCall[]): void {
    this.#calls = calls;
    for (const { recordingId, accountId } of calls)
      if (recordingId !== null) this.#accounts.set(recordingId, accountId);
    for (const oldest of this.#accounts.keys()) {
      if (this.#accounts.size <= mostRemembered) break;
      this.#accounts.delete(oldest);
    }
  }

  get all(): readonly LiveCall[] {
    return this.#calls;
  }

  /**
   * The account of a recording that a call has named, also before the recorder announces it (it may be starting again just
   * then); undefined for one that no call named.
   */
  accountOfRecording(recordingId: string): string | undefined {
    return this.#accounts.get(recordingId);
  }
}
