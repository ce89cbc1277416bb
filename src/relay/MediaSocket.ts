import type { ProviderBuffers } from './ProviderBuffers.js';

/** Who reads a socket. None of these may throw. */
export interface MediaSocketOwner {
  /** @param arrivalMs - `performance.now()`, taken once per message: it costs more than anything else done to one here */
  message(data: Buffer, isBinary: boolean, arrivalMs: number): void;
  /** The peer broke the protocol, or the network failed; `closed` follows. */
  failed(error: SocketError): void;
  /** The peer has taken nothing of what waits for it for too long; the owner decides what becomes of it. */
  stalled(waitingBytes: number): void;
  /**
   * The last of it.
   *
   * @param code - 1005 where the peer gave none, 1006 where it never said that it closes
   * @param arrivalMs - when it said so, or else was found gone: `performance.now()` of then
   */
  closed(code: number, arrivalMs: number): void;
}

/** As `ws` tells them: a violation of the protocol has a code that begins with `WS_ERR_`. */
export interface SocketError extends Error {
  readonly code?: string;
}

/**
 * An open WebSocket of a provider or a bot, whoever moves its frames: `ws` in this thread ({@link WsSocket}, the reference), or the native
 * thread ({@link FastSocket}).
 */
export interface MediaSocket {
  /** Whether what is sent now may arrive: neither side has begun to close it. */
  readonly isOpen: boolean;
  /** Bytes that were sent and that the kernel hasn't taken. */
  readonly bufferedAmount: number;
  /** To be called once, at once: nothing is told before the event loop's next turn. */
  listen(owner: MediaSocketOwner): void;
  /** @param onSent - called when the message has left, or never will */
  send(data: Buffer, isBinary: boolean, onSent?: () => void): void;
  /** Stops reading until {@link resume}. */
  pause(): void;
  resume(): void;
  /** Begins the closing handshake, behind everything that was sent. */
  close(code: number, reason?: string): void;
  terminate(): void;
  /** What waits for it counts among what waits for all providers. */
  countIn(buffers: ProviderBuffers): void;
}
