import type { Logger } from 'pino';
import { errorCodes } from '../config/ReelayError.js';
import type { ErrorCode } from '../config/ReelayError.js';
import type { Counters } from '../tap/Counters.js';
import type { SocketError } from './MediaSocket.js';

type Details = Readonly<Record<string, unknown>>;

/**
 * What was wrong with the messages of one stream. Every problem is counted, but only the first of each code is logged: a
 * client that gets one frame wrong gets all of them wrong, fifty times a second.
 */
export class Problems {
  readonly #counters: Counters;
  readonly #times = new Map<string, number>();
  #log: Logger;

  constructor(log: Logger, counters: Counters) {
    this.#log = log;
    this.#counters = counters;
  }

  /** Later lines carry the call's ids, which are known only once the start message has been read. */
  identify(log: Logger): void {
    this.#log = log;
  }

  /**
   * @param inner - tells apart what one code covers; each is logged once
   * @returns whether this was the first of its code on this stream
   */
  note(code: ErrorCode, details: Details = {}, inner?: ErrorCode): boolean {
    this.#counters.add('invalidMessages');
    return this.tell(code, inner === undefined ? details : { ...details, inner }, inner);
  }

  /** Like {@link note} for what isn't a message's fault. */
  tell(code: ErrorCode, details: Details = {}, inner?: ErrorCode): boolean {
    const key = inner === undefined ? code : `${code}/${inner}`;
    const times = (this.#times.get(key) ?? 0) + 1;
    this.#times.set(key, times);
    if (times === 1) this.#log.warn({ ...details, code }, errorCodes[code]);
    return times === 1;
  }

  /**
   * What a socket failed with, where its peer broke the protocol; anything else is the network's, and the close event that follows
   * tells it.
   *
   * @param value - says of a message that is too long more than the error does
   */
  violated({ code, message }: SocketError, value = message): void {
    if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') this.note('payload_oversized', { value });
    else if (code?.startsWith('WS_ERR_') === true) this.note('websocket_violation', { value: message });
  }

  /** How often each code came, for the line that is logged at the stream's end; undefined when nothing was wrong. */
  totals(): Readonly<Record<string, number>> | undefined {
    return this.#times.size === 0 ? undefined : Object.fromEntries(this.#times);
  }
}
