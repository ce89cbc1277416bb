import { isUtf8 } from 'node:buffer';
import type { Socket } from 'node:net';
import { v7 as uuidv7 } from 'uuid';
import type { WebSocket } from 'ws';
import type { AccountConfig } from '../config/Config.js';
import { ReelayError } from '../config/ReelayError.js';
import type { ProviderEvent, StartEvent } from '../providers/Dialect.js';
import type { StreamFacts } from '../tap/TapRecord.js';
import { isUnproven } from './Admission.js';
import type { Admitted } from './Admission.js';
import { CloseCode, closeCode } from './closeCode.js';
import type { QueuedFrame } from './FrameQueue.js';
import { HeldMessages } from './HeldMessages.js';
import type { HeldMessage } from './HeldMessages.js';
import { LiveStream } from './LiveStream.js';
import type { MediaSocket, SocketError } from './MediaSocket.js';
import { Problems } from './Problems.js';
import type { RelayContext } from './RelayContext.js';
import { WsSocket } from './WsSocket.js';

/** Audio that a jambonz socket may deliver before its start message is given up, at the default 8 kHz mono. */
const provisionalMs = 3000;
const provisionalRate = 8000;
const provisionalBytes = (provisionalMs / 1000) * provisionalRate * 2;
/** Messages that may come before the start message. */
const maxOpening = 16;
const maxEarly = 1000;
/** How long the look-up of an account may take, ms, and what is kept of the stream meanwhile. */
const resolvingMs = 10_000;
const maxHeld = { bytes: 4 * 1024 * 1024, messages: 4000 };
const maxHeldOfStrangers = { bytes: 1024 * 1024, messages: 1000 };

/**
 * One socket of a provider, from its upgrade to its end. Until the start message has named a call and its account has been
 * found to be the one that opened the socket, nothing is forwarded and nothing recorded; from then on a {@link LiveStream}
 * has the messages. While an account is being looked up the messages wait, in order.
 */
export class ProviderStream {
  readonly #socket: MediaSocket;
  readonly #admitted: Admitted;
  readonly #context: RelayContext;
  readonly #problems: Problems;
  readonly #opening: QueuedFrame[] = [];
  readonly #held: HeldMessages;
  readonly #onOver: () => void;
  #state: 'awaiting' | 'resolving' | 'live' | 'refused' = 'awaiting';
  /** Set once the socket is gone. */
  #close: { readonly code: number; readonly arrivalMs: number } | undefined;
  #live: LiveStream | undefined;
  #startTimer: NodeJS.Timeout | undefined;
  #provisionalTimer: NodeJS.Timeout | undefined;

  constructor(options: {
    readonly socket: WebSocket;
    /** What the WebSocket runs on. */
    readonly wire: Socket;
    readonly admitted: Admitted;
    readonly context: RelayContext;
    /** Called once, when the socket is gone and nothing of it waits any more. */
    readonly onOver: () => void;
  }) {
    this.#admitted = options.admitted;
    this.#context = options.context;
    this.#socket = this.#takeSocket(options.socket, options.wire);
    this.#onOver = options.onOver;
    this.#held = new HeldMessages(isUnproven(this.#admitted) ? maxHeldOfStrangers : maxHeld);
    this.#problems = new Problems(
      this.#context.log.child({
        provider: this.#admitted.dialect.name,
        remoteAddress: this.#admitted.remoteAddress,
      }),
      this.#context.counters,
    );
    this.#count(1);
    const { startTimeoutMs } = this.#admitted.config.limits;
    this.#startTimer = setTimeout(() => this.#refuse(new ReelayError('start_timeout')), startTimeoutMs);
    this.#listen();
  }

  /** The daemon is ending. */
  shutDown(): void {
    if (this.#live === undefined) this.#refuse(new ReelayError('draining'));
    else this.#live.shutDown();
  }

  #takeSocket(socket: WebSocket, wire: Socket): MediaSocket {
    const { fast, heartbeats, stalls } = this.#context;
    const taken = fast?.provider(socket, wire, this.#admitted);
    if (taken !== undefined && taken !== null) return taken;
    const own = new WsSocket(socket, heartbeats);
    own.watch(stalls, wire, this.#admitted.config.limits.stalledMs);
    own.writeTo(wire);
    return own;
  }

  #listen(): void {
    this.#socket.listen({
      message: (data, isBinary, arrivalMs) => this.#guard(() => this.#receive(data, isBinary, arrivalMs)),
      failed: (error) => this.#broken(error),
      stalled: (waitingBytes) => this.#stalled(waitingBytes),
      closed: (code, arrivalMs) => this.#guard(() => this.#closed({ code, arrivalMs })),
    });
  }

  #stalled(waitingBytes: number): void {
    this.#context.counters.add('stalledProviders');
    this.#guard(() => this.#live?.providerStalled(waitingBytes));
    this.#socket.terminate();
  }

  #receive(data: Buffer, isBinary: boolean, arrivalMs: number): void {
    if (this.#state === 'refused') return;
    const event = this.#admitted.dialect.readProvider(data, isBinary);
    if (this.#live !== undefined) this.#pass(this.#live, event, data, isBinary, arrivalMs);
    else if (this.#state === 'resolving') this.#hold({ event, data, isBinary, arrivalMs });
    else this.#awaiting({ event, data, isBinary, arrivalMs });
  }

  #pass(live: LiveStream, event: ProviderEvent, data: Buffer, isBinary: boolean, arrivalMs: number): void {
    if (isBinary || isUtf8(data)) live.receive(event, data, isBinary, arrivalMs);
    // A bot's WebSocket library would close the connection for it (RFC 6455 section 8.1).
    else live.receive({ kind: 'invalid', code: 'frame_not_json', drop: true }, data, isBinary, arrivalMs);
  }

  #hold(message: HeldMessage): void {
    if (this.#held.push(message)) return;
    this.#refuse(new ReelayError('accounts_unavailable', { value: 'too much came while it was asked for' }));
  }

  #awaiting(message: HeldMessage): void {
    const { event, data, isBinary } = message;
    if (event.kind === 'start') {
      // jambonz cuts a long start anywhere, perhaps inside a character.
      const text = isUtf8(data) ? data : Buffer.from(data.toString('utf8'));
      this.#opening.push({ data: text, isBinary, audioMs: 0 });
      this.#start(event, message.arrivalMs);
    } else if (event.kind === 'connected' || (event.kind === 'unknown' && !this.#toleratesNoStart)) {
      if (this.#opening.length >= maxOpening) this.#refuse(new ReelayError('event_out_of_order'));
      else this.#opening.push({ data, isBinary, audioMs: 0 });
    } else if (event.kind === 'invalid') {
      if (this.#held.length > 0) this.#problems.note(event.code, { value: event.value });
      else this.#refuse(new ReelayError(event.code, { value: event.value }));
    } else if (this.#toleratesNoStart) this.#keepEarly(message);
    else this.#refuse(new ReelayError('event_out_of_order', { value: `${event.kind} before start` }));
  }

  /** jambonz loses its first text frame now and then; the audio follows anyway. */
  get #toleratesNoStart(): boolean {
    return this.#admitted.dialect.capabilities.framing === 'binary';
  }

  #keepEarly(message: HeldMessage): void {
    this.#held.push(message);
    this.#provisionalTimer ??= setTimeout(() => this.#guard(() => this.#startProvisionally()), provisionalMs);
    const enough = this.#held.bytes >= provisionalBytes || this.#held.length >= maxEarly;
    if (enough || message.event.kind === 'finish') this.#startProvisionally();
  }

  #startProvisionally(): void {
    if (this.#state !== 'awaiting') return;
    const accountId = this.#admitted.onlyAccountId;
    if (accountId === null) {
      this.#refuse(
        new ReelayError('account_unknown', {
          remedy: 'No start message came, and no single account has these credentials.',
        }),
      );
      return;
    }
    this.#problems.note('start_invalid', { value: 'no start message', accountId });
    this.#start(
      {
        kind: 'start',
        accountId,
        callId: `unknown-${uuidv7().slice(-12)}`,
        streamId: null,
        sampleRate: provisionalRate,
        channels: 1,
        tracks: ['caller'],
        from: null,
        to: null,
        direction: null,
        parameters: {},
        warnings: [],
      },
      performance.now(),
    );
  }

  /** What comes until it is its turn waits with what follows. */
  #start(start: StartEvent, messageMs: number): void {
    const arrivalMs = this.#held.sinceMs ?? messageMs;
    this.#state = 'resolving';
    this.#context.arrivals.take(() => {
      if (this.#state === 'resolving') this.#guard(() => this.#find(start, arrivalMs));
    });
  }

  #find(start: StartEvent, arrivalMs: number): void {
    try {
      const account = this.#context.admission.accountOfStart(this.#admitted, start);
      if (account instanceof Promise) this.#resolve(start, account, arrivalMs);
      else this.#goLive(start, account, arrivalMs);
    } catch (error) {
      this.#refuseFor(error, start);
    }
  }

  #resolve(start: StartEvent, account: Promise<AccountConfig>, arrivalMs: number): void {
    clearTimeout(this.#startTimer);
    clearTimeout(this.#provisionalTimer);
    const late = (): void => this.#refuse(new ReelayError('accounts_unavailable'), start);
    this.#startTimer = setTimeout(late, resolvingMs);
    account.then(
      (found) => this.#guard(() => this.#state === 'resolving' && this.#goLive(start, found, arrivalMs)),
      (error: unknown) => this.#guard(() => this.#refuseFor(error, start)),
    );
  }

  #goLive(start: StartEvent, account: AccountConfig, arrivalMs: number): void {
    const { dialect, endpoint, config } = this.#admitted;
    const { accountId } = start;
    try {
      const role = roleOf(this.#admitted, start, account.upstream[dialect.name]);
      const call = this.#context.calls.callFor({
        accountId,
        account,
        config,
        dialect,
        endpoint,
        start,
        role,
        arrivalMs,
      });
      this.#settle('live');
      this.#live = new LiveStream({
        provider: this.#socket,
        admitted: this.#admitted,
        context: this.#context,
        problems: this.#problems,
        opening: this.#opening,
        account,
        start,
        role,
        call,
        arrivalMs,
      });
    } catch (error) {
      this.#refuseFor(error, start);
      return;
    }
    for (const code of start.warnings) this.#problems.note(code);
    for (const { event, data, isBinary, arrivalMs } of this.#held.drain()) {
      this.#pass(this.#live, event, data, isBinary, arrivalMs);
    }
    if (this.#close !== undefined) this.#live.providerClosed(this.#close.code, this.#close.arrivalMs);
  }

  #refuseFor(error: unknown, start: StartEvent): void {
    if (!(error instanceof ReelayError)) throw error;
    this.#refuse(error, start);
  }

  #refuse(error: ReelayError, start?: StartEvent): void {
    if (this.#state !== 'awaiting' && this.#state !== 'resolving') return;
    this.#settle('refused');
    this.#context.counters.add('refusedStreams');
    const ids = start === undefined ? {} : { callId: start.callId, accountId: start.accountId };
    this.#problems.tell(error.code, { ...ids, value: error.value, remedy: error.remedy });
    this.#held.drain();
    this.#socket.close(closeCode(error.code), error.code);
  }

  #settle(state: 'live' | 'refused'): void {
    this.#state = state;
    clearTimeout(this.#startTimer);
    clearTimeout(this.#provisionalTimer);
    this.#count(-1);
    if (this.#close !== undefined) this.#onOver();
  }

  #count(change: 1 | -1): void {
    this.#context.counters.add('pendingStreams', change);
    if (isUnproven(this.#admitted)) this.#context.counters.add('unprovenStreams', change);
  }

  #closed(close: { readonly code: number; readonly arrivalMs: number }): void {
    if (this.#state === 'awaiting' && this.#held.length > 0) this.#startProvisionally();
    this.#close = close;
    // What came of a call that was over before its account was found is still that account's.
    if (this.#state === 'resolving') return;
    if (this.#state === 'awaiting') this.#settle('refused');
    else this.#onOver();
    this.#live?.providerClosed(close.code, close.arrivalMs);
  }

  #broken(error: SocketError): void {
    const { maxMessageBytes } = this.#admitted.dialect.capabilities;
    this.#problems.violated(error, `more than ${maxMessageBytes} bytes`);
  }

  /** Whatever fails in here ends this stream and nothing else. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#problems.tell('stream_failed', { err: error });
      if (this.#live !== undefined) this.#live.abandon();
      else if (this.#state === 'awaiting' || this.#state === 'resolving')
        this.#refuse(new ReelayError('stream_failed'));
      else this.#socket.close(CloseCode.internalError, 'stream_failed');
    }
  }
}

/**
 * Whether the bot talks on the stream. A one-way stream looks just like a bidirectional one as long as it carries the
 * caller alone, so such a stream says it itself with the custom parameter `reelay.oneWay`.
 */
function roleOf(admitted: Admitted, start: StartEvent, upstream: string | null): StreamFacts['role'] {
  if (admitted.endpoint === 'tap') return 'tap';
  const declared = start.parameters['reelay.oneWay'];
  const oneWay =
    upstream === null || start.tracks.includes('bot') || declared === 'true' || declared === true;
  return oneWay ? 'oneway' : 'call';
}
