import { loadAddon } from '../config/nativeAddon.js';
import type { Counters } from '../tap/Counters.js';
import { openRing } from '../tap/Ring.js';
import type { SharedSequence } from '../tap/Sequence.js';
import { LiveBoard, mostLiveSockets } from './LiveBoard.js';

/** How a socket is handled; what isn't said here is the same for all. */
export interface LiveSocketOptions {
  /** Towards a bot; what is sent is masked then. */
  readonly isClient: boolean;
  readonly maxMessageBytes: number;
  /** How long the peer may take for its side of the closing handshake. */
  readonly closeTimeoutMs: number;
  /** How long the peer may take nothing of what waits for it. */
  readonly stalledMs: number;
}

/** How the frames of a call are told from other messages, where their audio belongs, and what may wait. */
export interface LiveLinkOptions {
  /** Audio travels as binary messages; else in Twilio's. */
  readonly isBinary: boolean;
  /** Of Twilio's messages; '' where there is none. */
  readonly streamId: string;
  /** Whose binary audio it is: a `Track`. */
  readonly onlyTrack: number;
  /** Bytes of the provider's binary audio that belong together. */
  readonly frameBytes: number;
  /** Whether the bot may send audio in the form in which frames are passed on. */
  readonly takesFromBot: boolean;
  /** The tap's numbers of both; call 0: nothing is kept. */
  readonly call: number;
  readonly stream: number;
  /** The recording is paused: of the audio only its length is told. */
  readonly isMuted: boolean;
  /** Start of the stream, and how far the provider's times may be ahead of what has passed since. */
  readonly startedMs: number;
  readonly aheadMs: number;
  /** What may wait for the bot before its audio is dropped, and for the provider before the bot isn't read. */
  readonly botBytes: number;
  readonly providerBytes: number;
}

/** What is told of one socket, by the event loop's next turn at the earliest. None of these may throw. */
export interface LiveSocketOwner {
  message(data: Buffer, isBinary: boolean, arrivalMs: number): void;
  /** So many of the messages that were sent have left, or never will. */
  drained(messages: number): void;
  /** The closing handshake begins. @param violation - what the peer did wrong, 0 for nothing: an index into `violations` */
  closing(violation: number): void;
  stalled(waitingBytes: number): void;
  /** @param arrivalMs - when the peer said so, or else was found gone: `performance.now()` of then */
  closed(code: number, arrivalMs: number): void;
}

export interface LiveLinkOwner {
  /** Audio for the bot is being dropped, or no longer. */
  overflow(isOverflowing: boolean): void;
  /** The last of it, for whatever reason. @param missed - records that found no room in the tap and haven't been told */
  unlinked(missed: number, sinceMs: number): void;
}

/** What the addon exports; `native/live.cpp` says more. */
interface NativeLoop {
  start(): boolean;
  comeFirst(): boolean;
  add(slot: number, fd: number, options: LiveSocketOptions, input: Uint8Array): boolean;
  send(slot: number, data: Uint8Array, isBinary: boolean, isClient: boolean): number;
  close(slot: number, payload: Uint8Array, isClient: boolean): void;
  terminate(slot: number): void;
  pause(slot: number): void;
  resume(slot: number): void;
  handled(slot: number, messages: number, bytes: number): void;
  link(number: number, provider: number, bot: number, options: LiveLinkOptions): void;
  unlink(number: number): void;
  share(bytes: number): void;
  stop(): void;
  join(): void;
}
interface NativeLoopClass {
  new (memory: object, clockOffsetMs: number, onEvents: (parts: readonly EventPart[]) => void): NativeLoop;
  clockMs(): number;
}
type EventPart = number | Buffer | null;
const partsOfEvent = 5;

/** Kinds of events, as `native/live/events.h` numbers them. */
const Told = {
  message: 0,
  drained: 1,
  closing: 2,
  closed: 3,
  stalled: 4,
  overflow: 5,
  unlinked: 6,
  stopped: 7,
} as const;

/** The offset of the clocks is measured as often as this; the reading with the least between its ends is the best. */
const clockReadings = 9;

/** What was read of a socket in one batch of events and is the thread's to go on with. */
interface InHand {
  messages: number;
  bytes: number;
}

/**
 * The native thread that moves frames, as this thread sees it. Sockets that were added are its own to read and write; links between two
 * of them let it pass media on by itself. All else it tells here, in order: as long as a message of a socket is being handled here, what
 * follows on that socket comes here too, so whatever is done meanwhile (sent, closed, unlinked) happens before the thread looks at it.
 */
export class LiveLoop {
  readonly board = new LiveBoard();
  readonly #native: NativeLoop;
  readonly #owners: (LiveSocketOwner | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #links = new Map<number, LiveLinkOwner>();
  readonly #inHand = new Map<number, InHand>();
  readonly #failed: (error: unknown) => void;
  #used = 0;
  #lastLink = 0;
  #stopped: (() => void) | null = null;
  #isOver = false;

  /**
   * @param ring - of the thread's own, which it fills from now on
   * @param failed - told what an owner threw
   * @returns null where there is no such thread: the addon isn't built, this isn't Linux, or `REELAY_KERNELS=typescript`
   */
  static start(
    ring: SharedArrayBuffer,
    sequence: SharedSequence,
    counters: Counters,
    failed: (error: unknown) => void,
  ): LiveLoop | null {
    if (process.env['REELAY_KERNELS'] === 'typescript') return null;
    try {
      const { LiveLoop: Native } = loadAddon() as { LiveLoop?: NativeLoopClass };
      if (Native === undefined) return null;
      const loop = new LiveLoop(
        Native,
        { ring: new Uint8Array(ring), sequence: sequence.cells },
        counters,
        failed,
      );
      openRing(ring);
      return loop.#native.start() ? loop : null;
    } catch {
      return null;
    }
  }

  private constructor(
    native: NativeLoopClass,
    tap: { readonly ring: Uint8Array; readonly sequence: BigUint64Array },
    { frames }: Counters,
    failed: (error: unknown) => void,
  ) {
    this.#failed = failed;
    const memory = {
      ...tap,
      board: this.board.cells,
      counters: frames.counters,
      latencyToBot: frames.latency.to_bot,
      latencyToProvider: frames.latency.to_provider,
      delay: frames.delay,
    };
    const offsetMs = clockOffset(() => native.clockMs());
    this.#native = new native(memory, offsetMs, (parts) => this.#told(parts));
  }

  /**
   * Has the thread come before all that isn't in real time itself (SCHED_RR of sched(7)). What its processor does besides makes no frame late then,
   * unless it is cut short while it holds a lock that the thread wants: the two queues between the thread and this one have one each.
   *
   * @returns false when the system doesn't allow it, and nothing has changed
   */
  comeFirst(): boolean {
    return this.#native.comeFirst();
  }

  /** Sockets that the thread has, and whose end hasn't been told. */
  get size(): number {
    return this.#used - this.#free.length;
  }

  /**
   * Gives the thread a duplicate of a connected TCP socket; nobody else may read or write it from now on.
   *
   * @param input - what was read of it already
   * @returns the socket's place here, or null: nothing has happened
   */
  add(fd: number, input: Uint8Array, options: LiveSocketOptions, owner: LiveSocketOwner): number | null {
    if (this.#isOver || this.size >= mostLiveSockets) return null;
    const slot = this.#free.pop() ?? this.#used++;
    if (!this.#native.add(slot, fd, options, input)) {
      this.#free.push(slot);
      return null;
    }
    this.#owners[slot] = owner;
    return slot;
  }

  /** @returns bytes of the frame, which the thread will have taken over some time */
  send(slot: number, data: Uint8Array, isBinary: boolean, isClient: boolean): number {
    return this.#native.send(slot, data, isBinary, isClient);
  }

  close(slot: number, payload: Uint8Array, isClient: boolean): void {
    this.#native.close(slot, payload, isClient);
  }

  terminate(slot: number): void {
    this.#native.terminate(slot);
  }

  pause(slot: number): void {
    this.#native.pause(slot);
  }

  resume(slot: number): void {
    this.#native.resume(slot);
  }

  /** @returns the link's number */
  link(provider: number, bot: number, options: LiveLinkOptions, owner: LiveLinkOwner): number {
    const number = (this.#lastLink = (this.#lastLink + 1) >>> 0);
    this.#links.set(number, owner);
    this.#native.link(number, provider, bot, options);
    return number;
  }

  /** Its owner is told when it is undone; it may have been undone by itself meanwhile. */
  unlink(number: number): void {
    this.#native.unlink(number);
  }

  /** What may wait for each provider, bytes. */
  share(bytes: number): void {
    this.#native.share(bytes);
  }

  terminateAll(): void {
    for (const [slot, owner] of this.#owners.entries()) if (owner !== undefined) this.terminate(slot);
  }

  /** Every socket is told closed, then the thread ends. */
  async stop(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    const stopped = new Promise<void>((resolve) => (this.#stopped = resolve));
    this.#native.stop();
    // The thread's own word keeps no process alive.
    const waiting = setInterval(() => undefined, 1000);
    await stopped;
    clearInterval(waiting);
    this.#native.join();
  }

  #told(parts: readonly EventPart[]): void {
    for (let at = 0; at < parts.length; at += partsOfEvent) {
      try {
        this.#tell(parts, at);
      } catch (error) {
        this.#failed(error);
      }
    }
    for (const [slot, { messages, bytes }] of this.#inHand) this.#native.handled(slot, messages, bytes);
    this.#inHand.clear();
  }

  #tell(parts: readonly EventPart[], at: number): void {
    const [kind, slot, a, b] = parts.slice(at, at + 4) as [kind: number, slot: number, a: number, b: number];
    if (kind === Told.message) return this.#message(slot, parts[at + 4] as Buffer, b === 1, a);
    if (kind === Told.overflow) return this.#links.get(slot)?.overflow(a === 1);
    if (kind === Told.unlinked) return this.#unlinked(slot, a, b);
    if (kind === Told.stopped) return this.#stopped?.();
    const owner = this.#owners[slot];
    if (owner === undefined) return;
    if (kind === Told.drained) owner.drained(a);
    else if (kind === Told.closing) owner.closing(a);
    else if (kind === Told.stalled) owner.stalled(a);
    else this.#closed(slot, owner, a, b);
  }

  #message(slot: number, data: Buffer, isBinary: boolean, arrivalMs: number): void {
    let inHand = this.#inHand.get(slot);
    if (inHand === undefined) this.#inHand.set(slot, (inHand = { messages: 0, bytes: 0 }));
    inHand.messages++;
    inHand.bytes += data.length;
    this.#owners[slot]?.message(data, isBinary, arrivalMs);
  }

  #unlinked(number: number, missed: number, sinceMs: number): void {
    const owner = this.#links.get(number);
    this.#links.delete(number);
    owner?.unlinked(missed, sinceMs);
  }

  /** What is still said to the slot's former socket comes before what is said to the next. */
  #closed(slot: number, owner: LiveSocketOwner, code: number, arrivalMs: number): void {
    this.#owners[slot] = undefined;
    this.#inHand.delete(slot);
    this.#free.push(slot);
    owner.closed(code, arrivalMs);
  }
}

/** `performance.now()` less another monotonic clock, ms. */
function clockOffset(clockMs: () => number): number {
  let best = { betweenMs: Infinity, offsetMs: 0 };
  for (let reading = 0; reading < clockReadings; reading++) {
    const beforeMs = performance.now();
    const otherMs = clockMs();
    const betweenMs = performance.now() - beforeMs;
    if (betweenMs < best.betweenMs) best = { betweenMs, offsetMs: beforeMs + betweenMs / 2 - otherMs };
  }
  return best.offsetMs;
}
