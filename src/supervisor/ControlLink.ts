import type { AccountConfig, Config } from '../config/Config.js';
import type { FromControl, PlainRequest, PlainResponse, ToControl } from '../control/ControlMessage.js';

/** A webhook's sender waits this long for its answer, ms. */
const answerTimeoutMs = 5000;
/** Requests that may wait at once, of up to 64 KiB each: whoever floods the media port must not fill memory with them. */
const mostWaiting = 256;
/** A stream whose account is asked for waits no longer than this, ms. */
const lookupTimeoutMs = 10_000;

interface Waiting {
  readonly resolve: (response: PlainResponse) => void;
  readonly timer: NodeJS.Timeout;
}

/** Null: there is none. `unavailable`: nobody could be asked. */
type FoundAccount = AccountConfig | 'unavailable' | null;

interface Lookup {
  readonly accountId: string;
  readonly resolve: (account: FoundAccount) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * What main asks of the control thread and waits for. A control thread that is gone or hangs costs the one who sends a request a
 * 503, and media nothing. Whose account a call is, its successor is asked again: the call goes on waiting.
 */
export class ControlLink {
  readonly #post: (message: ToControl) => void;
  readonly #waiting = new Map<number, Waiting>();
  readonly #lookups = new Map<number, Lookup>();
  #asked = 0;

  constructor(post: (message: ToControl) => void) {
    this.#post = post;
  }

  /** Has a plain HTTP request of the media port answered. */
  ask(request: PlainRequest): Promise<PlainResponse> {
    if (this.#waiting.size >= mostWaiting) return Promise.resolve(unavailable);
    const id = ++this.#asked;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.answer(id, unavailable), answerTimeoutMs);
      this.#waiting.set(id, { resolve, timer });
      this.#post({ type: 'http', id, request });
    });
  }

  answer(id: number, response: PlainResponse): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    waiting.resolve(response);
  }

  /** Asks for an account that the configuration doesn't list. Never rejects. */
  findAccount(accountId: string): Promise<FoundAccount> {
    if (this.#lookups.size >= mostWaiting) return Promise.resolve('unavailable');
    const id = ++this.#asked;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.found(id, 'unavailable'), lookupTimeoutMs);
      this.#lookups.set(id, { accountId, resolve, timer });
      this.#post({ type: 'lookup', id, accountId });
    });
  }

  found(id: number, account: FoundAccount): void {
    const lookup = this.#lookups.get(id);
    if (lookup === undefined) return;
    this.#lookups.delete(id);
    clearTimeout(lookup.timer);
    lookup.resolve(account);
  }

  /** A successor of the thread is there: it is asked for the accounts that its predecessor didn't answer. */
  askAgain(): void {
    for (const [id, { accountId }] of this.#lookups) this.#post({ type: 'lookup', id, accountId });
  }

  /** The thread is gone: no request that it was asked to answer will be. */
  lost(): void {
    for (const id of [...this.#waiting.keys()]) this.answer(id, unavailable);
  }
}

const unavailable: PlainResponse = {
  status: 503,
  headers: { 'content-type': 'application/json', 'retry-after': '1' },
  body: JSON.stringify({
    code: 'thread_lost',
    message: 'The control thread is busy or being started again.',
  }),
};

/** Narrows a message of the control thread. */
export function isFromControl(message: unknown): message is FromControl {
  return typeof message === 'object' && message !== null && 'type' in message;
}

/** The configuration changed in a way that only a restart can follow. */
export function needsRestart(before: Config, after: Config): string[] {
  const fixed = [
    ['media.host', before.media.host, after.media.host],
    ['media.port', before.media.port, after.media.port],
    ['media.fastPath', before.media.fastPath, after.media.fastPath],
    ['media.realtime', before.media.realtime, after.media.realtime],
    ['control.host', before.control.host, after.control.host],
    ['control.port', before.control.port, after.control.port],
    ['spool.dir', before.spool.dir, after.spool.dir],
    ['spool.flushMs', before.spool.flushMs, after.spool.flushMs],
    ['spool.syncMs', before.spool.syncMs, after.spool.syncMs],
    ['limits.ringBytes', before.limits.ringBytes, after.limits.ringBytes],
    ['log.level', before.log.level, after.log.level],
    ['tracing', JSON.stringify(before.tracing), JSON.stringify(after.tracing)],
  ] as const;
  return fixed.filter(([, old, now]) => old !== now).map(([key]) => key);
}
