import type { CallsNotice, LiveCall } from '../ControlMessage.js';

/** Recordings remembered after their call is gone, until the recorder has announced them. */
const mostRemembered = 2000;

/** The calls that the media thread says are up. */
export class LiveCalls {
  readonly #calls = new Map<number, LiveCall>();
  readonly #accounts = new Map<string, string>();

  take({ isWhole, changes }: CallsNotice): void {
    if (isWhole) this.#calls.clear();
    for (const { id, call } of changes) {
      if (call === null) this.#calls.delete(id);
      else this.#note(id, call);
    }
  }

  /** In the order in which they began. */
  get all(): readonly LiveCall[] {
    return [...this.#calls.values()];
  }

  /**
   * The account of a recording that a call has named, also before the recorder announces it (it may be starting again just
   * then); undefined for one that no call named.
   */
  accountOfRecording(recordingId: string): string | undefined {
    return this.#accounts.get(recordingId);
  }

  #note(id: number, call: LiveCall): void {
    this.#calls.set(id, call);
    const { recordingId, accountId } = call;
    if (recordingId !== null) this.#accounts.set(recordingId, accountId);
    const [oldest] = this.#accounts.keys();
    if (this.#accounts.size > mostRemembered && oldest !== undefined) this.#accounts.delete(oldest);
  }
}
