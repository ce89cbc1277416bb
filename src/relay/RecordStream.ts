import { v7 as uuidv7 } from 'uuid';
import type { WebSocket } from 'ws';
import { accountOf } from '../config/Config.js';
import { ReelayError } from '../config/ReelayError.js';
import type { ErrorCode } from '../config/ReelayError.js';
import type { ProviderEvent, StartEvent } from '../providers/Dialect.js';
import type { StreamEndFacts } from '../tap/TapRecord.js';
import type { FoundAccount } from './AccountFinder.js';
import { isUnproven } from './Admission.js';
import type { Admitted } from './Admission.js';
import type { Call, CallStream } from './Call.js';
import { CloseCode } from './closeCode.js';
import type { Pulse } from './Heartbeats.js';
import { HeldMessages } from './HeldMessages.js';
import type { HeldMessage } from './HeldMessages.js';
import { Problems } from './Problems.js';
import { recordClaim, unnamedAccount } from './recordClaim.js';
import type { RecordClaim } from './recordClaim.js';
import type { RelayContext } from './RelayContext.js';
import { streamFacts } from './streamFacts.js';
import { TapFeed } from './TapFeed.js';

/** How long audio may come before its first text frame is given up, ms. */
const provisionalMs = 3000;
/** How long a recording waits for its account before it begins without, ms. */
const resolvingMs = 10_000;
/** What is kept of a socket meanwhile; beyond it the recording begins at once. */
const maxHeld = { bytes: 4 * 1024 * 1024, messages: 20_000 };
const maxHeldOfStrangers = { bytes: 1024 * 1024, messages: 2000 };
/** A longer text is read by nobody: the start message is cut at 8 KiB by its client, and reading takes the calls' own time. */
const maxTextBytes = 1024 * 1024;

/**
 * One socket of jambonz's own recordings (`WS <any prefix>/record/<vendor>`), from its upgrade to its end. Nothing is ever sent
 * on it, and it is never closed from here first: a jambonz whose recording socket is closed records no more of that call, and
 * one that reacts badly takes the call's audio down. Whatever is wrong with it — an account that nobody knows, one without a
 * store, one that the socket's credentials don't prove, no start message or one that can't be read, a limit, a fault in
 * here — it is read and emptied until its peer closes it. Audio that comes before its account is known waits, in order, and
 * if that takes too long it is recorded all the same and whoever uploads it finds the account.
 *
 * What ends the socket from this side all the same:
 * - the empty binary frame, by which the client asks for just that; it can't close its socket any more afterwards,
 * - a peer that has answered no ping for 25 s ({@link Heartbeats}): it is gone,
 * - the end of this process: 1001,
 * - a violation of the WebSocket protocol, or a message over 16 MiB, which `ws` answers with 1002, 1007 or 1009.
 */
export class RecordStream implements CallStream {
  readonly streamId = uuidv7();
  readonly role = 'oneway';
  readonly upstreamState = 'none';
  readonly #socket: WebSocket;
  readonly #admitted: Admitted;
  readonly #context: RelayContext;
  readonly #onOver: () => void;
  readonly #problems: Problems;
  readonly #pulse: Pulse;
  readonly #held: HeldMessages;
  #state: 'awaiting' | 'resolving' | 'recording' | 'drained' | 'finished' = 'awaiting';
  #start: StartEvent | null = null;
  #isPending = true;
  /** Under what a socket that has proven nothing is counted: until something becomes of it, and from there to its end. */
  #stranger: 'unprovenStreams' | 'strangers' | null;
  #call: Call | undefined;
  #feed: TapFeed | undefined;
  /** Set once the socket is gone. */
  #closeCode: number | undefined;
  #isClosing = false;
  #pendingTimer: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: {
    readonly socket: WebSocket;
    readonly admitted: Admitted;
    readonly context: RelayContext;
    /** Called once, when the socket is gone and nothing of it waits any more. */
    readonly onOver: () => void;
  }) {
    this.#socket = options.socket;
    this.#admitted = options.admitted;
    this.#context = options.context;
    this.#onOver = options.onOver;
    const { log, counters, heartbeats } = this.#context;
    const { path, remoteAddress, config } = this.#admitted;
    this.#problems = new Problems(log.child({ provider: 'jambonz', path, remoteAddress }), counters);
    this.#pulse = heartbeats.watch(this.#socket, performance.now());
    this.#stranger = isUnproven(this.#admitted) ? 'unprovenStreams' : null;
    this.#held = new HeldMessages(this.#stranger === null ? maxHeld : maxHeldOfStrangers);
    counters.add('pendingStreams');
    if (this.#stranger !== null) counters.add(this.#stranger);
    this.#pendingTimer = setTimeout(() => this.#tellSilence(), config.limits.startTimeoutMs);
    this.#listen();
  }

  comeBack(then: () => void): void {
    then();
  }

  beginRecording(): void {
    this.#feed?.join();
  }

  endRecording(): void {
    this.#feed?.end({ reason: 'relay', closeCode: null }, performance.now());
  }

  /** The daemon is ending. What waits for its account is written down first. */
  shutDown(): void {
    if (this.#held.length > 0) this.#guard(() => this.#hurry());
    this.#close(CloseCode.goingAway);
  }

  #listen(): void {
    this.#socket.on('message', (data, isBinary) => {
      const arrivalMs = performance.now();
      this.#pulse.seenMs = arrivalMs;
      this.#guard(() => this.#receive(data as Buffer, isBinary, arrivalMs));
    });
    this.#socket.on('error', (error) => this.#problems.violated(error));
    this.#socket.on('close', (code) => this.#guard(() => this.#closed(code)));
  }

  #receive(data: Buffer, isBinary: boolean, arrivalMs: number): void {
    if (this.#state === 'drained' || this.#state === 'finished') {
      // Whoever sends what nobody keeps must not have it read: that takes the time of the calls that are up.
      if (isBinary && data.length === 0) this.#close(CloseCode.normal);
      return;
    }
    const message = { event: this.#read(data, isBinary), data, isBinary, arrivalMs };
    if (this.#state === 'recording') this.#record(message);
    else if (this.#state === 'awaiting') this.#awaiting(message);
    else this.#hold(message);
  }

  #read(data: Buffer, isBinary: boolean): ProviderEvent {
    if (isBinary || data.length <= maxTextBytes) return this.#admitted.dialect.readProvider(data, isBinary);
    return {
      kind: 'invalid',
      code: 'payload_oversized',
      value: `a text of ${data.length} bytes`,
      drop: true,
    };
  }

  #awaiting(message: HeldMessage): void {
    const { event } = message;
    if (event.kind === 'start') this.#named(recordingStart(event), message.arrivalMs);
    else if (event.kind === 'finish' && this.#held.length === 0) this.#close(CloseCode.normal);
    else {
      this.#timer ??= setTimeout(() => this.#guard(() => this.#unnamed()), provisionalMs);
      this.#hold(message);
    }
  }

  #hold(message: HeldMessage): void {
    const isRoom = this.#held.push(message);
    if (!isRoom) this.#hurry();
    if (message.event.kind === 'finish') this.#finishHeld();
  }

  /** The client is let go at once; what it sent goes on waiting for its account, as after any other end. */
  #finishHeld(): void {
    this.#unnamed();
    this.#close(CloseCode.normal);
  }

  /** There is no waiting any longer. */
  #hurry(): void {
    this.#unnamed();
    this.#begin('unavailable');
  }

  /** The first text frame names a call and an account. */
  #named(start: StartEvent, arrivalMs: number): void {
    this.#start = start;
    const found = this.#context.admission.accountNamed(this.#admitted, start.accountId);
    this.#state = 'resolving';
    clearTimeout(this.#timer);
    if (!(found instanceof Promise)) {
      this.#context.arrivals.take(() => this.#guard(() => this.#begin(found, arrivalMs)));
      return;
    }
    const late = (): void => this.#guard(() => this.#begin('unavailable', arrivalMs));
    this.#timer = setTimeout(late, resolvingMs);
    void found.then((account) => this.#guard(() => this.#begin(account, arrivalMs)));
  }

  /** No first text frame came, and the audio has waited for it long enough. */
  #unnamed(): void {
    if (this.#state !== 'awaiting') return;
    const { onlyAccountId, config } = this.#admitted;
    this.#problems.note('start_invalid', { value: 'no start message', accountId: onlyAccountId });
    this.#start = null;
    if (onlyAccountId !== null) this.#named(startWithout(onlyAccountId), performance.now());
    else this.#begin(accountOf(config, unnamedAccount) ?? null);
  }

  /** The account is known, or given up for now: from here on the messages go to the recording, or nowhere. */
  #begin(found: FoundAccount, startMs = performance.now()): void {
    if (this.#state !== 'awaiting' && this.#state !== 'resolving') return;
    this.#settle();
    const claim = recordClaim(this.#admitted, this.#start?.accountId ?? null, found);
    if (claim.kind === 'unplaced') {
      this.#drain(claim.code);
      return;
    }
    const start = this.#start ?? startWithout(claim.accountId);
    try {
      this.#open(start, claim, this.#held.sinceMs ?? startMs);
    } catch (error) {
      if (!(error instanceof ReelayError)) throw error;
      this.#drain(error.code, { callId: start.callId, accountId: claim.accountId, value: error.value });
      return;
    }
    for (const code of start.warnings) this.#problems.note(code);
    for (const message of this.#held.drain()) this.#record(message);
    if (this.#closeCode !== undefined) this.#ended(this.#closeCode);
  }

  /** @throws ReelayError `too_many_streams` */
  #open(start: StartEvent, claim: Exclude<RecordClaim, { kind: 'unplaced' }>, arrivalMs: number): void {
    const { dialect, endpoint, config } = this.#admitted;
    const { streamId, role } = this;
    const { accountId } = claim;
    const account = claim.kind === 'recorded' ? claim.account : null;
    const failure =
      claim.kind === 'recorded' ? {} : { failed: claim.reason, claimedAccountId: claim.claimedAccountId };
    const arrival = { accountId, account, config, dialect, endpoint, start, role, arrivalMs } as const;
    const call = this.#context.calls.callFor({ ...arrival, ...failure });
    this.#call = call;
    this.#problems.identify(call.log.child({ streamId }));
    call.attach(this);
    const facts = streamFacts({ dialect, account, start, streamId, role, arrivalMs });
    const { capabilities } = dialect;
    this.#feed = new TapFeed({ call, facts, start, capabilities, problems: this.#problems, arrivalMs });
    this.#state = 'recording';
    this.#countStranger(null);
    this.#context.counters.add('streams');
    call.log.info(
      { streamId, role, path: this.#admitted.path, resolved: account !== null },
      'stream started',
    );
    this.#context.onChange(call);
  }

  #record({ event, data, arrivalMs }: HeldMessage): void {
    this.#context.counters.add('framesFromProvider');
    this.#context.counters.add('bytesFromProvider', data.length);
    this.#feed?.provider(recordable(event), data, arrivalMs);
    if (event.kind === 'audio') for (const code of event.warnings) this.#problems.note(code);
    else if (event.kind === 'invalid') this.#problems.note(event.code, { value: event.value });
    else if (event.kind === 'start') this.#problems.note('event_out_of_order', { value: 'start' });
    else if (event.kind === 'finish') {
      this.#end({ reason: 'stop', closeCode: null });
      this.#state = 'finished';
      this.#close(CloseCode.normal);
    }
  }

  /** Nothing of it is kept any more, and nothing is said to the peer. */
  #drain(code: ErrorCode, details: Readonly<Record<string, unknown>> = {}): void {
    this.#settle();
    if (this.#state !== 'recording') this.#context.counters.add('refusedStreams');
    this.#state = 'drained';
    this.#held.drain();
    this.#countStranger('strangers');
    this.#context.counters.add('drainedStreams');
    this.#problems.tell(code, { ...details, drained: true });
    if (this.#closeCode !== undefined) this.#ended(this.#closeCode);
  }

  /** It is known what becomes of the socket. */
  #settle(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#pendingTimer);
    this.#notPending();
  }

  #notPending(): void {
    if (this.#isPending) this.#context.counters.add('pendingStreams', -1);
    this.#isPending = false;
  }

  /**
   * A socket that has proven nothing is counted for as long as it is open, since nothing here closes it. But it takes the place
   * of one that may yet prove something only until it is known what becomes of it.
   */
  #countStranger(as: 'strangers' | null): void {
    const { counters } = this.#context;
    if (this.#stranger === null || this.#stranger === as) return;
    counters.add(this.#stranger, -1);
    if (as !== null) counters.add(as);
    this.#stranger = as;
  }

  /** A socket that says nothing keeps nobody else out for longer; when it does say something it is heard all the same. */
  #tellSilence(): void {
    if (this.#state !== 'awaiting') return;
    this.#notPending();
    this.#countStranger('strangers');
    this.#problems.tell('start_timeout', { drained: true });
  }

  #close(code: number): void {
    this.#isClosing = true;
    this.#socket.close(code);
  }

  #closed(code: number): void {
    this.#closeCode = code;
    if (this.#state === 'awaiting' && this.#held.length > 0) this.#unnamed();
    else if (this.#state !== 'resolving') this.#ended(code);
  }

  #ended(code: number): void {
    if (this.#state === 'drained') this.#context.counters.add('drainedStreams', -1);
    const proper = code === 1000 || code === 1005;
    this.#end({ reason: this.#isClosing ? 'relay' : proper ? 'closed' : 'lost', closeCode: code });
    this.#state = 'finished';
    this.#settle();
    this.#countStranger(null);
    this.#onOver();
  }

  #end(facts: StreamEndFacts): void {
    const call = this.#call;
    if (call === undefined) return;
    this.#call = undefined;
    this.#feed?.end(facts, performance.now());
    this.#context.counters.add('streams', -1);
    call.log.info({ streamId: this.streamId, ...facts, problems: this.#problems.totals() }, 'stream ended');
    call.detach(this, facts.reason);
    this.#context.onChange(call);
  }

  /** Whatever fails in here ends this stream's recording at most. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#end({ reason: 'relay', closeCode: null });
      if (this.#state === 'drained' || this.#state === 'finished')
        this.#problems.tell('stream_failed', { err: error });
      else this.#drain('stream_failed', { err: error });
    }
  }
}

/** A text that is no event of the dialect is still part of what was sent, and the manifest keeps it if it is JSON. */
function recordable(event: ProviderEvent): ProviderEvent {
  if (event.kind === 'start') return { kind: 'unknown', name: 'start' };
  return event.kind === 'invalid' ? { kind: 'unknown', name: event.code } : event;
}

const mixes = /^\s*(mono|mixed|stereo)\s*$/i;

/** jambonz records in stereo; a first frame that doesn't say so has lost it. */
function recordingStart(start: StartEvent): StartEvent {
  const mix = start.parameters['mixType'];
  return typeof mix === 'string' && mixes.test(mix) ? start : { ...start, channels: 2, tracks: ['both'] };
}

/** What jambonz asks for when it records, for a socket whose first text frame is lost: 8 kHz stereo. */
function startWithout(accountId: string): StartEvent {
  return {
    kind: 'start',
    accountId,
    callId: `unknown-${uuidv7().slice(-12)}`,
    streamId: null,
    sampleRate: 8000,
    channels: 2,
    tracks: ['both'],
    from: null,
    to: null,
    direction: null,
    parameters: {},
    warnings: [],
  };
}
