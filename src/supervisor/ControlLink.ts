import type { Config } from '../config/Config.js';
import type { FromControl, PlainRequest, PlainResponse } from '../control/ControlMessage.js';

/** A webhook's sender waits this long for its answer, ms. */
const answerTimeoutMs = 5000;
/** Requests that may wait at once, of up to 64 KiB each: whoever floods the media port must not fill memory with them. */
const mostWaiting = 256;

interface Waiting {
  readonly resolve: (response: PlainResponse) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * What main asks of the control thread and waits for. A control thread that is gone or hangs costs the one who asks a 503,
 * and media nothing.
 */
export class ControlLink {
  readonly #post: (message: { type: 'http'; id: number; request: PlainRequest }) => void;
  readonly #waiting = new Map<number, Waiting>();
  #asked = 0;

  constructor(post: (message: { type: 'http'; id: number; request: PlainRequest }) => void) {
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

  /** The thread is gone: nothing it was asked will be answered. */
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
    ['control.host', before.control.host, after.control.host],
    ['control.port', before.control.port, after.control.port],
    ['spool.dir', before.spool.dir, after.spool.dir],
    ['spool.flushMs', before.spool.flushMs, after.spool.flushMs],
    ['spool.syncMs', before.spool.syncMs, after.spool.syncMs],
    ['limits.ringBytes', before.limits.ringBytes, after.limits.ringBytes],
    ['log.level', before.log.level, after.log.level],
  ] as const;
  return fixed.filter(([, old, now]) => old !== now).map(([key]) => key);
}
