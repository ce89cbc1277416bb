import type { ProviderEvent } from '../providers/Dialect.js';

/** A message that came before its stream could take it. */
export interface HeldMessage {
  readonly event: ProviderEvent;
  readonly data: Buffer;
  readonly isBinary: boolean;
  readonly arrivalMs: number;
}

/** Messages of one socket that wait, in order, for its call to be known. Bounded, because nothing is known of the peer. */
export class HeldMessages {
  readonly #maxBytes: number;
  readonly #maxMessages: number;
  #messages: HeldMessage[] = [];
  #bytes = 0;

  constructor(bounds: { readonly bytes: number; readonly messages: number }) {
    this.#maxBytes = bounds.bytes;
    this.#maxMessages = bounds.messages;
  }

  get length(): number {
    return this.#messages.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** When the first one came, ms of the monotonic clock; undefined where there is none. */
  get sinceMs(): number | undefined {
    return this.#messages[0]?.arrivalMs;
  }

  /** @returns whether there is room for another one */
  push(message: HeldMessage): boolean {
    this.#messages.push(message);
    this.#bytes += message.data.length;
    return this.#bytes < this.#maxBytes && this.#messages.length < this.#maxMessages;
  }

  /** Takes everything out, in the order in which it came. */
  drain(): readonly HeldMessage[] {
    const messages = this.#messages;
    this.#messages = [];
    this.#bytes = 0;
    return messages;
  }
}
