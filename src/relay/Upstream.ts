import type { IncomingMessage } from 'node:http';
import type { Socket, TcpNetConnectOpts } from 'node:net';
import pRetry, { AbortError } from 'p-retry';
import WebSocket from 'ws';
import type { ClientOptions } from 'ws';
import type { Config, UpstreamLossPolicy } from '../config/Config.js';
import { ReelayError, type ErrorCode } from '../config/ReelayError.js';
import type { Counters } from '../tap/Counters.js';
import type { FastPath } from './FastPath.js';
import { FrameQueue } from './FrameQueue.js';
import type { QueuedFrame } from './FrameQueue.js';
import type { Heartbeats } from './Heartbeats.js';
import type { MediaSocket, MediaSocketOwner } from './MediaSocket.js';
import type { StalledSockets } from './StalledSockets.js';
import type { UpstreamNames } from './UpstreamNames.js';
import { WsSocket } from './WsSocket.js';

/** Where the bot is and what its upgrade carries. */
export interface UpstreamTarget {
  readonly url: string;
  readonly protocols: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
}

/** How the bot of one stream is reached. */
export interface UpstreamRoute {
  /** To be asked for each dial. @throws ReelayError when there is nothing to dial */
  target(): UpstreamTarget;
  /** How often in a row it is dialled again when the connection is lost, whatever the policy; with `reconnect`: always. */
  readonly redials: number;
  /** What a close code tells of a peer that ends for a reason of its own, after which only `reconnect` dials again. */
  meaning(code: number): ReelayError | null;
}

/** The stream that the bot belongs to. None of these may throw. */
export interface UpstreamOwner {
  /** @param arrivalMs - `performance.now()`, taken once per message: it costs more than anything else done to one here */
  upstreamMessage(data: Buffer, isBinary: boolean, arrivalMs: number): void;
  /** The bot closed its socket properly: it is done with the stream. */
  upstreamEnded(): void;
  /** The socket couldn't be opened or broke. `final`: it won't be dialled again. */
  upstreamLost(error: ReelayError, final: boolean): void;
  upstreamChanged(): void;
}

const handshakeTimeoutMs = 10_000;
/** A bot may send a whole utterance in one message. */
const maxPayload = 16 * 1024 * 1024;
/** Room for control messages above the bound for audio: a bot that reads nothing at all gets none of those either. */
const controlRoomBytes = 1024 * 1024;
/** A connection that lasted this long starts the backoff anew when it breaks. */
const settledMs = 5000;
/** What another try soon after would end in as well. */
const hopeless: ReadonlySet<ErrorCode> = new Set(['bridge_failed', 'sdk_missing']);
const backoff = { minTimeout: 100, maxTimeout: 2000, randomize: true } as const;

/**
 * The bot's side of one stream: a socket that is dialled at once, and under the policy `reconnect`, or where its route has it so,
 * again and again. Frames
 * wait in a bounded queue while there is no connection, and are dropped rather than kept when the bot doesn't read.
 */
export class Upstream {
  readonly #route: UpstreamRoute;
  readonly #policy: UpstreamLossPolicy;
  readonly #opening: readonly QueuedFrame[];
  readonly #limits: Config['limits'];
  readonly #counters: Counters;
  readonly #heartbeats: Heartbeats;
  readonly #stalls: StalledSockets;
  readonly #names: UpstreamNames;
  readonly #fast: FastPath | undefined;
  readonly #owner: UpstreamOwner;
  readonly #queue: FrameQueue;
  readonly #ending = new AbortController();
  #socket: MediaSocket | undefined;
  #state: 'connecting' | 'open' | 'lost' | 'ended' = 'connecting';
  #connections = 0;
  #finalCode = 1000;
  /** A bot that stays away is reported once, not at every attempt. */
  #reported = false;
  #redials: number;

  constructor(options: {
    readonly route: UpstreamRoute;
    readonly policy: UpstreamLossPolicy;
    /** The provider's messages up to its start, replayed on every connection. */
    readonly opening: readonly QueuedFrame[];
    readonly limits: Config['limits'];
    readonly counters: Counters;
    readonly heartbeats: Heartbeats;
    readonly stalls: StalledSockets;
    readonly names: UpstreamNames;
    /** Undefined: its provider's frames aren't moved by the native thread, so its own aren't either. */
    readonly fast: FastPath | undefined;
    readonly owner: UpstreamOwner;
  }) {
    this.#route = options.route;
    this.#redials = options.route.redials;
    this.#policy = options.policy;
    this.#opening = options.opening;
    this.#limits = options.limits;
    this.#counters = options.counters;
    this.#heartbeats = options.heartbeats;
    this.#stalls = options.stalls;
    this.#names = options.names;
    this.#fast = options.fast;
    this.#owner = options.owner;
    this.#queue = new FrameQueue(options.limits.upstreamQueueMs);
  }

  get state(): 'connecting' | 'open' | 'lost' | 'ended' {
    return this.#state;
  }

  /** The bot's socket while it is open. */
  get socket(): MediaSocket | undefined {
    return this.#state === 'open' ? this.#socket : undefined;
  }

  /** Dials, and goes on until the bot or the stream ends, or the bot is lost for good. */
  async run(): Promise<void> {
    do {
      try {
        await this.#dialUntilEnded();
        this.#state = 'ended';
        if (!this.#isOver) this.#owner.upstreamEnded();
        return;
      } catch {
        // Each loss has been reported where it happened.
        if (this.#state === 'lost') return;
      }
    } while (!this.#isOver);
  }

  /**
   * Hands a message over, or queues it. Neither copies.
   *
   * @param audioMs - length of the audio in the message, 0 for a control message
   * @returns false when it, or older audio in its stead, was dropped
   */
  send(data: Buffer, isBinary: boolean, audioMs: number): boolean {
    if (this.#state === 'lost' || this.#state === 'ended') return true;
    const dropped =
      this.#state === 'open' ? this.#write(data, isBinary, audioMs) : this.#enqueue(data, isBinary, audioMs);
    if (dropped > 0) this.#counters.add('framesDroppedToUpstream', dropped);
    return dropped === 0;
  }

  /** Stops reading from the bot until {@link resume}. */
  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  /**
   * The stream is over: closes the socket when everything that was handed over has been written. A connection that is still
   * being opened is awaited, because the bot should hear of a short call too.
   */
  finish(code: number): void {
    if (this.#isOver) return;
    this.#ending.abort();
    this.#state = 'ended';
    this.#finalCode = code;
    this.resume();
    if (this.#socket?.isOpen === true) this.#socket.close(code);
  }

  get #isOver(): boolean {
    return this.#ending.signal.aborted;
  }

  async #dialUntilEnded(): Promise<void> {
    await pRetry(() => this.#session(), { ...backoff, retries: Infinity, signal: this.#ending.signal });
  }

  /** One connection, from the dial to its end. Resolves when the bot closed it properly, rejects when it was lost. */
  #session(): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      let openedMs = NaN;
      let cause: Error | undefined;
      const owner: MediaSocketOwner = {
        message: (data, isBinary, arrivalMs) => this.#owner.upstreamMessage(data, isBinary, arrivalMs),
        failed: (error) => (cause = error),
        stalled: (waitingBytes) => {
          cause = this.#stalled(waitingBytes);
          this.#socket?.terminate();
        },
        closed: (code) => {
          if (this.#isOver || code === 1000 || code === 1005) resolve();
          else {
            const settled = performance.now() - openedMs > settledMs;
            if (settled) this.#redials = this.#route.redials;
            const error = this.#lost({ code, cause, opened: !Number.isNaN(openedMs) });
            reject(settled || this.#state === 'lost' ? new AbortError(error) : error);
          }
        },
      };
      const dialled = this.#dial(reject);
      if (dialled !== undefined) this.#await(dialled, owner, () => (openedMs = performance.now()));
    });
  }

  /** Apart from what lasts as long as the call, which would keep `ws` and its connection in memory when neither is needed any more. */
  #await(dialled: WebSocket, owner: MediaSocketOwner, onOpen: () => void): void {
    const reference = new WsSocket(dialled, this.#heartbeats);
    this.#socket = reference;
    reference.listen(owner);
    dialled.once('upgrade', ({ socket: wire }) => {
      reference.watch(this.#stalls, wire, this.#limits.stalledMs);
      dialled.once('open', () => {
        onOpen();
        this.#socket = this.#taken(dialled, wire, reference, owner);
        this.#opened(this.#socket);
      });
    });
  }

  /** Who moves the frames of a socket that is open now. */
  #taken(dialled: WebSocket, wire: Socket, reference: WsSocket, owner: MediaSocketOwner): MediaSocket {
    const { stalledMs } = this.#limits;
    const taken = this.#fast?.bot(dialled, wire, { maxMessageBytes: maxPayload, stalledMs });
    if (taken === undefined || taken === null) return reference;
    reference.leave(this.#heartbeats);
    taken.listen(owner);
    return taken;
  }

  #dial(reject: (error: Error) => void): WebSocket | undefined {
    try {
      const { url, protocols, headers } = this.#route.target();
      const options: ClientOptions & Pick<TcpNetConnectOpts, 'lookup'> = {
        headers: { ...headers },
        perMessageDeflate: false,
        handshakeTimeout: handshakeTimeoutMs,
        maxPayload,
        skipUTF8Validation: true,
        lookup: this.#names.lookup,
      };
      return new WebSocket(url, [...protocols], options).once('upgrade', (response) =>
        answerProtocol(response, protocols),
      );
    } catch (error) {
      const lost = this.#lost({ code: null, cause: error, opened: false });
      reject(this.#state === 'lost' ? new AbortError(lost) : lost);
      return undefined;
    }
  }

  #opened(socket: MediaSocket): void {
    if (this.#connections++ > 0) this.#counters.add('upstreamReconnects');
    for (const frame of [...this.#opening, ...this.#queue.drain()]) {
      socket.send(frame.data, frame.isBinary);
    }
    if (this.#isOver) {
      socket.close(this.#finalCode);
      return;
    }
    this.#state = 'open';
    this.#reported = false;
    this.#owner.upstreamChanged();
  }

  #lost(how: { code: number | null; cause: unknown; opened: boolean }): ReelayError {
    const meant = how.code === null ? null : this.#route.meaning(how.code);
    const error = meant ?? (how.cause instanceof ReelayError ? how.cause : networkLoss(how));
    const final = !this.#isDialledAgain(meant !== null || hopeless.has(error.code));
    this.#state = final ? 'lost' : 'connecting';
    if (final || !this.#reported) this.#owner.upstreamLost(error, final);
    this.#reported = true;
    return error;
  }

  #isDialledAgain(hasItsReason: boolean): boolean {
    if (this.#policy === 'reconnect') return true;
    return !hasItsReason && this.#redials-- > 0;
  }

  /** What still waited for it is lost with its socket, whether it is dialled again or not. */
  #stalled(waitingBytes: number): ReelayError {
    this.#counters.add('stalledUpstreams');
    return new ReelayError('upstream_stalled', { value: `${waitingBytes} bytes waited` });
  }

  #enqueue(data: Buffer, isBinary: boolean, audioMs: number): number {
    return this.#queue.push({ data, isBinary, audioMs });
  }

  #write(data: Buffer, isBinary: boolean, audioMs: number): number {
    const socket = this.#socket;
    if (socket?.isOpen !== true) return this.#enqueue(data, isBinary, audioMs);
    const room = this.#limits.upstreamBufferBytes + (audioMs > 0 ? 0 : controlRoomBytes);
    if (socket.bufferedAmount > room) return 1;
    socket.send(data, isBinary);
    return 0;
  }
}

function networkLoss(how: { code: number | null; cause: unknown; opened: boolean }): ReelayError {
  return new ReelayError(how.opened ? 'upstream_lost' : 'upstream_unreachable', {
    value: how.cause instanceof Error ? how.cause.message : `close code ${how.code ?? 'none'}`,
    cause: how.cause,
  });
}

/** A bot may leave the offered sub-protocol unanswered, which jambonz takes and `ws` doesn't (RFC 6455, section 4.1). */
function answerProtocol({ headers }: IncomingMessage, [offered]: readonly string[]): void {
  if (offered !== undefined) headers['sec-websocket-protocol'] ??= offered;
}
