import type {
  LiveLinkOptions,
  LiveLinkOwner,
  LiveLoop,
  LiveSocketOptions,
  LiveSocketOwner,
} from './LiveLoop.js';
import type { MediaSocket, MediaSocketOwner, SocketError } from './MediaSocket.js';

/** What a peer did wrong, as `native/live/frame.h` numbers it: the codes under which `ws` tells the same. */
const violations: readonly (readonly [code: string, message: string])[] = [
  ['', ''],
  ['WS_ERR_UNEXPECTED_RSV_1', 'a frame has reserved bits set'],
  ['WS_ERR_INVALID_OPCODE', 'a frame has an opcode that may not come here'],
  ['WS_ERR_EXPECTED_FIN', 'a control frame is fragmented'],
  ['WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH', 'a control frame is longer than 125 bytes'],
  ['WS_ERR_EXPECTED_MASK', 'a frame of a client is not masked'],
  ['WS_ERR_UNEXPECTED_MASK', 'a frame of a server is masked'],
  ['WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', 'a message is longer than it may be'],
  ['WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH', 'a Close frame has half a code'],
  ['WS_ERR_INVALID_CLOSE_CODE', 'a Close frame has a code that may not be sent'],
];

/** A WebSocket whose frames the native thread reads and writes. Its pings, its stalls and its closing are the thread's business too. */
export class FastSocket implements MediaSocket, LiveSocketOwner {
  readonly #loop: LiveLoop;
  readonly #isClient: boolean;
  /** Of the messages that haven't left, in order. */
  readonly #onSent: ((() => void) | undefined)[] = [];
  #owner: MediaSocketOwner | null = null;
  #slot = -1;
  #handedBytes = 0;
  #state: 'open' | 'closing' | 'closed' = 'open';

  /**
   * @param input - what was read of it already
   * @returns null when the thread doesn't take it; nothing has happened then
   */
  static adopt(loop: LiveLoop, fd: number, input: Uint8Array, options: LiveSocketOptions): FastSocket | null {
    const socket = new FastSocket(loop, options.isClient);
    const slot = loop.add(fd, input, options, socket);
    if (slot === null) return null;
    socket.#slot = slot;
    return socket;
  }

  private constructor(loop: LiveLoop, isClient: boolean) {
    this.#loop = loop;
    this.#isClient = isClient;
  }

  listen(owner: MediaSocketOwner): void {
    this.#owner = owner;
  }

  /**
   * Media between this socket, a provider's, and a bot's is passed on by the thread from now on, as far as it is plain.
   *
   * @returns what undoes it
   */
  link(bot: FastSocket, options: LiveLinkOptions, owner: LiveLinkOwner): () => void {
    const number = this.#loop.link(this.#slot, bot.#slot, options, owner);
    return () => this.#loop.unlink(number);
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get bufferedAmount(): number {
    if (this.#state === 'closed') return 0;
    const { board } = this.#loop;
    return this.#handedBytes - board.takenBytes(this.#slot) + board.queuedBytes(this.#slot);
  }

  send(data: Buffer, isBinary: boolean, onSent?: () => void): void {
    if (this.#state !== 'open') {
      // As with `ws`: it will never leave.
      if (onSent !== undefined) process.nextTick(onSent);
      return;
    }
    this.#onSent.push(onSent);
    this.#handedBytes += this.#loop.send(this.#slot, data, isBinary, this.#isClient);
  }

  pause(): void {
    if (this.#state !== 'closed') this.#loop.pause(this.#slot);
  }

  resume(): void {
    if (this.#state !== 'closed') this.#loop.resume(this.#slot);
  }

  close(code: number, reason = ''): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
    payload.writeUInt16BE(code);
    payload.write(reason, 2);
    this.#loop.close(this.#slot, payload, this.#isClient);
  }

  terminate(): void {
    if (this.#state !== 'closed') this.#loop.terminate(this.#slot);
  }

  /** The thread counts for itself. */
  countIn(): void {
    // Nothing is left to do.
  }

  message(data: Buffer, isBinary: boolean, arrivalMs: number): void {
    this.#owner?.message(data, isBinary, arrivalMs);
  }

  drained(messages: number): void {
    for (const onSent of this.#onSent.splice(0, messages)) onSent?.();
  }

  closing(violation: number): void {
    if (this.#state === 'open') this.#state = 'closing';
    const [code, message] = violations[violation] ?? [];
    if (code === undefined || code === '') return;
    this.#owner?.failed(Object.assign(new Error(message), { code }) satisfies SocketError);
  }

  stalled(waitingBytes: number): void {
    this.#owner?.stalled(waitingBytes);
  }

  closed(code: number, arrivalMs: number): void {
    this.#state = 'closed';
    this.drained(this.#onSent.length);
    this.#owner?.closed(code, arrivalMs);
  }
}
