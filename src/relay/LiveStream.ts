import { isUtf8 } from 'node:buffer';
import { v7 as uuidv7 } from 'uuid';
import type { Logger } from 'pino';
import type { AccountConfig } from '../config/Config.js';
import type { ErrorCode, ReelayError } from '../config/ReelayError.js';
import { isRoomUrl } from '../config/roomUrl.js';
import { ownClipId } from '../providers/Dialect.js';
import type { ProviderEvent, StartEvent, UpstreamEvent } from '../providers/Dialect.js';
import type { StreamEndFacts, StreamFacts } from '../tap/TapRecord.js';
import type { Admitted } from './Admission.js';
import type { Call, CallStream, UpstreamState } from './Call.js';
import { CallPath } from './CallPath.js';
import type { CallFrames } from './CallPath.js';
import { CloseCode } from './closeCode.js';
import { FastSocket } from './FastSocket.js';
import type { QueuedFrame } from './FrameQueue.js';
import type { MediaSocket } from './MediaSocket.js';
import type { Problems } from './Problems.js';
import { promptMessages } from './promptMessages.js';
import type { RelayContext } from './RelayContext.js';
import { streamFacts } from './streamFacts.js';
import { StreamRequests } from './StreamRequests.js';
import { TapFeed, aheadMs, trackOf } from './TapFeed.js';
import { Upstream } from './Upstream.js';
import type { UpstreamOwner } from './Upstream.js';
import { routeIntoRoom, routeTo } from './upstreamRoute.js';
import { upstreamTarget } from './upstreamTarget.js';

/** A provider closes its socket right after its stop; one that doesn't is closed from here. */
const closeAfterStopMs = 5000;

/**
 * A stream after its start message: every message goes to the other side first, exactly as it came, and to the tap second.
 * Nothing that a peer says here closes the stream; what can't be forwarded is counted and logged.
 */
export class LiveStream implements UpstreamOwner, CallStream {
  readonly streamId: string;
  readonly role: StreamFacts['role'];
  readonly #provider: MediaSocket;
  readonly #admitted: Admitted;
  readonly #context: RelayContext;
  readonly #problems: Problems;
  readonly #account: AccountConfig;
  readonly #start: StartEvent;
  readonly #call: Call;
  readonly #feed: TapFeed;
  readonly #path: CallPath;
  readonly #requests: StreamRequests;
  readonly #log: Logger;
  readonly #upstream: Upstream | undefined;
  readonly #msPerByte: number;
  #state: 'live' | 'closing' | 'ended' = 'live';
  #overflowing = false;
  #paused = false;
  #stopTimer: NodeJS.Timeout | undefined;

  constructor(options: {
    readonly provider: MediaSocket;
    readonly admitted: Admitted;
    readonly context: RelayContext;
    readonly problems: Problems;
    /** The provider's messages up to its start message. */
    readonly opening: readonly QueuedFrame[];
    readonly account: AccountConfig;
    readonly start: StartEvent;
    readonly role: StreamFacts['role'];
    readonly call: Call;
    readonly arrivalMs: number;
  }) {
    const { start, account, role, call, admitted, arrivalMs, problems } = options;
    const { dialect } = admitted;
    this.streamId = start.streamId ?? uuidv7();
    this.role = role;
    this.#provider = options.provider;
    this.#admitted = admitted;
    this.#context = options.context;
    this.#problems = problems;
    this.#account = account;
    this.#start = start;
    this.#call = call;
    this.#log = call.log.child({ streamId: this.streamId });
    problems.identify(this.#log);
    const sampleBytes = dialect.capabilities.encoding === 'pcm16' ? 2 : 1;
    this.#msPerByte = 1000 / (start.sampleRate * start.channels * sampleBytes);
    this.#upstream = this.#openUpstream(options.opening);
    this.#provider.countIn(this.#context.buffers);
    call.attach(this);
    const facts = streamFacts({ dialect, account, start, streamId: this.streamId, role, arrivalMs });
    const { capabilities } = dialect;
    this.#feed = new TapFeed({ call, facts, start, capabilities, problems, arrivalMs });
    this.#path = new CallPath({
      provider: this.#provider,
      frames: this.#frames(arrivalMs),
      limits: admitted.config.limits,
      tap: this.#feed,
      onOverflow: (isOverflowing) => this.#overflow(isOverflowing),
    });
    this.#context.counters.add('streams');
    this.#log.info({ role, sampleRate: start.sampleRate }, 'stream started');
    this.#requests = new StreamRequests(call, problems, this.#context.onChange);
    this.#requests.start(start);
    this.#announce();
    this.#context.onChange(this.#call);
    void this.#upstream?.run();
  }

  get upstreamState(): UpstreamState {
    const state = this.#upstream?.state ?? 'none';
    return state === 'ended' ? 'none' : state;
  }

  /** A message of the provider. */
  receive(event: ProviderEvent, data: Buffer, isBinary: boolean, arrivalMs: number): void {
    this.#context.counters.add('framesFromProvider');
    this.#context.counters.add('bytesFromProvider', data.length);
    if (!this.#passesToUpstream(event)) return;
    if (!isOwnClip(event)) this.#toUpstream(event, data, isBinary, arrivalMs);
    this.#feed.provider(event, data, arrivalMs);
    if (event.kind === 'audio') this.#warn(event.warnings);
    if (event.kind === 'stop') this.#stopped(arrivalMs);
    else if (event.kind === 'finish') this.#stopped(arrivalMs, CloseCode.normal);
    else this.#choosePath();
  }

  /** The provider's socket is gone. @param arrivalMs - of its last word: what it costs to hear of it is no silence of the call's */
  providerClosed(code: number, arrivalMs: number): void {
    clearTimeout(this.#stopTimer);
    const proper = code === 1000 || code === 1005;
    const reason = this.#state === 'closing' ? 'relay' : proper ? 'closed' : 'lost';
    const upstreamCode = reason === 'lost' ? CloseCode.goingAway : CloseCode.normal;
    this.#end({ reason, closeCode: code }, upstreamCode, arrivalMs);
  }

  /** The provider has taken nothing for too long and its socket is being terminated: the stream ends as lost. */
  providerStalled(waitingBytes: number): void {
    if (this.#state === 'ended') return;
    this.#problems.tell('provider_stalled', { value: `${waitingBytes} bytes waited` });
    this.#feed.event('provider_stalled');
  }

  comeBack(then: () => void): void {
    this.#path.comeBack(then);
  }

  beginRecording(): void {
    this.#feed.join();
    // What is said here has to be behind what is on its way.
    this.#path.comeBack(() => this.#announce());
  }

  endRecording(): void {
    this.#feed.end({ reason: 'relay', closeCode: null }, performance.now());
  }

  /** The daemon is ending: both sides are told so. */
  shutDown(): void {
    this.#upstream?.finish(CloseCode.goingAway);
    this.#closeProvider(CloseCode.goingAway);
  }

  /** Something failed in the handling of this stream. */
  abandon(): void {
    this.#closeProvider(CloseCode.internalError);
    const facts = { reason: 'relay', closeCode: CloseCode.internalError } as const;
    this.#end(facts, CloseCode.goingAway, performance.now());
  }

  upstreamMessage(data: Buffer, isBinary: boolean, arrivalMs: number): void {
    try {
      this.#fromUpstream(data, isBinary, arrivalMs);
      this.#choosePath();
    } catch (error) {
      this.#problems.tell('stream_failed', { err: error });
      this.abandon();
    }
  }

  upstreamEnded(): void {
    this.#feed.event('upstream_ended');
    this.#closeProvider(CloseCode.normal);
    this.#context.onChange(this.#call);
  }

  upstreamLost(error: ReelayError, final: boolean): void {
    const policy = this.#account.onUpstreamLoss;
    this.#context.counters.add('upstreamLost');
    if (bridgeCodes.has(error.code)) this.#context.counters.add('bridgeFailures');
    this.#log.error({ code: error.code, value: error.value, policy }, error.message);
    this.#feed.event('upstream_lost', { code: error.code });
    if (final && policy === 'close') this.#closeProvider(CloseCode.normal);
    this.#context.onChange(this.#call);
  }

  upstreamChanged(): void {
    this.#log.info('bot connected');
    this.#context.onChange(this.#call);
    this.#choosePath();
  }

  /** Only what is live on both sides is passed on without this being asked. */
  #choosePath(): void {
    const upstream = this.#upstream;
    if (this.#state === 'live' && upstream?.state === 'open') this.#path.choose(upstream.socket);
  }

  /** What frames are, for whoever can't read messages. */
  #frames(arrivalMs: number): CallFrames {
    const { capabilities } = this.#admitted.dialect;
    const isBinary = capabilities.framing === 'binary';
    return {
      isBinary,
      streamId: this.#start.streamId ?? '',
      onlyTrack: trackOf[this.#start.tracks[0] ?? 'caller'],
      frameBytes: 2 * this.#start.channels,
      takesFromBot: !isBinary || this.#account.jambonz.returns === 'streaming',
      startedMs: arrivalMs,
      aheadMs,
    };
  }

  #openUpstream(opening: readonly QueuedFrame[]): Upstream | undefined {
    const { dialect, protocol, config } = this.#admitted;
    const account = this.#account;
    const start = this.#start;
    const url = account.upstream[dialect.name];
    if (this.role !== 'call' || url === null) return undefined;
    const { bridges } = this.#context;
    return new Upstream({
      route: isRoomUrl(url)
        ? routeIntoRoom({ url, dialect, account, accounts: config.accounts, start, bridges, log: this.#log })
        : routeTo(upstreamTarget({ url, dialect, account, protocol })),
      policy: account.onUpstreamLoss,
      opening,
      limits: config.limits,
      counters: this.#context.counters,
      heartbeats: this.#context.heartbeats,
      stalls: this.#context.stalls,
      names: this.#context.names,
      fast: this.#provider instanceof FastSocket ? this.#context.fast : undefined,
      owner: this,
    });
  }

  #passesToUpstream(event: ProviderEvent): boolean {
    if (this.#state === 'ended' || event.kind === 'start' || event.kind === 'connected') {
      this.#problems.note('event_out_of_order', { value: event.kind });
      return false;
    }
    if (event.kind === 'invalid') {
      this.#problems.note(event.code, { value: event.value });
      return !event.drop;
    }
    // Passed on: a dialect may grow, and both sides may know more of it than this relay does.
    if (event.kind === 'unknown')
      this.#problems.tell('event_unknown', { value: event.name, from: 'provider' });
    return this.#isOwn(event, 'stream_mismatch');
  }

  /** A message without a stream id is taken to be of its socket's stream: not every provider writes one. */
  #isOwn(
    event: ProviderEvent | UpstreamEvent,
    code: 'stream_mismatch' | 'upstream_message_invalid',
  ): boolean {
    const own = this.#start.streamId;
    if (own === null || !('streamId' in event) || event.streamId === null || event.streamId === own)
      return true;
    const inner = code === 'stream_mismatch' ? undefined : 'stream_mismatch';
    this.#problems.note(code, { value: event.streamId.slice(0, 80) }, inner);
    return false;
  }

  #toUpstream(event: ProviderEvent, data: Buffer, isBinary: boolean, arrivalMs: number): void {
    const upstream = this.#upstream;
    if (upstream === undefined) return;
    const audioMs = event.kind === 'audio' ? event.payload.length * this.#msPerByte : 0;
    const direct = upstream.state === 'open';
    const kept = upstream.send(data, isBinary, audioMs);
    if (direct && kept) this.#context.counters.latency.to_bot.observe(performance.now() - arrivalMs);
    if (kept === this.#overflowing) this.#overflow(!kept);
  }

  #overflow(overflowing: boolean): void {
    this.#overflowing = overflowing;
    if (!overflowing) return;
    this.#problems.tell('upstream_overflow');
    this.#feed.event('upstream_overflow');
  }

  #fromUpstream(data: Buffer, isBinary: boolean, arrivalMs: number): void {
    this.#context.counters.add('framesFromUpstream');
    this.#context.counters.add('bytesFromUpstream', data.length);
    if (this.#state !== 'live') return;
    const event: UpstreamEvent =
      isBinary || isUtf8(data)
        ? this.#admitted.dialect.readUpstream(data, isBinary)
        : { kind: 'invalid', code: 'frame_not_json', drop: true };
    if (!this.#passesToProvider(event)) return;
    if (event.kind === 'recording') return this.#requests.take(event.request);
    this.#toProvider(event, data, isBinary, arrivalMs);
    this.#context.counters.latency.to_provider.observe(performance.now() - arrivalMs);
    if (event.kind === 'audio' || event.kind === 'clip') this.#warn(event.warnings);
  }

  #toProvider(event: UpstreamEvent, data: Buffer, isBinary: boolean, arrivalMs: number): void {
    this.#provider.send(data, isBinary, this.#onFlushed);
    this.#holdBack();
    this.#feed.upstream(event, arrivalMs);
  }

  /** Tells the caller that the recording begins, if the account has it so; what the bot says comes behind it. */
  #announce(): void {
    const { prompt } = this.#account;
    const { recording } = this.#call;
    if (prompt === null || this.#state !== 'live' || !recording.isToBeAnnounced) return;
    const messages =
      this.role === 'call' ? promptMessages(prompt, this.#admitted, this.#account, this.#start) : null;
    if (!recording.announced(messages !== null)) return;
    if (messages === null) this.#problems.tell('prompt_unplayable', { value: prompt });
    this.#feed.event(messages === null ? 'prompt_unplayable' : 'prompt', { name: prompt });
    for (const { event, data, isBinary } of messages ?? [])
      this.#toProvider(event, data, isBinary, performance.now());
  }

  #passesToProvider(event: UpstreamEvent): boolean {
    if (event.kind === 'invalid') {
      this.#problems.note('upstream_message_invalid', { value: event.value }, event.code);
      return !event.drop;
    }
    if (event.kind === 'unknown') this.#problems.tell('event_unknown', { value: event.name, from: 'bot' });
    return this.#isReturned(event) && this.#isOwn(event, 'upstream_message_invalid');
  }

  /** What a jambonz client does with audio in the form that it wasn't told to expect is leak it. */
  #isReturned(event: UpstreamEvent): boolean {
    if (this.#admitted.dialect.capabilities.framing !== 'binary') return true;
    const form = event.kind === 'audio' ? 'streaming' : event.kind === 'clip' ? 'playAudio' : undefined;
    const { returns } = this.#account.jambonz;
    if (form === undefined || form === returns) return true;
    this.#problems.note('returns_not_configured', { value: form, returns });
    return false;
  }

  /** The bot's socket is read no faster than the provider's is written. */
  #holdBack(): void {
    if (this.#provider.bufferedAmount <= this.#providerBufferBytes) return;
    if (!this.#paused) this.#context.counters.add('upstreamPauses');
    this.#paused = true;
    // Each time, because it may be another socket by now: a bot that was dialled again begins unpaused.
    this.#upstream?.pause();
  }

  get #providerBufferBytes(): number {
    return this.#context.buffers.limitOf(this.#admitted.config.limits.providerBufferBytes);
  }

  /** One function for all frames, because a closure per frame would be garbage fifty times a second and call. */
  readonly #onFlushed = (): void => {
    if (!this.#paused) return;
    if (this.#provider.bufferedAmount > this.#providerBufferBytes / 2) return;
    this.#paused = false;
    this.#upstream?.resume();
  };

  #warn(warnings: readonly ErrorCode[]): void {
    for (const code of warnings) this.#problems.note(code);
  }

  #stopped(arrivalMs: number, code?: number): void {
    this.#end({ reason: 'stop', closeCode: null }, CloseCode.normal, arrivalMs);
    if (code !== undefined) this.#provider.close(code);
    else this.#stopTimer = setTimeout(() => this.#provider.close(CloseCode.normal), closeAfterStopMs);
  }

  /** What the provider still sends until its side of the closing handshake is the call's audio like any other. */
  #closeProvider(code: number): void {
    if (this.#state === 'live') this.#state = 'closing';
    this.#provider.close(code);
  }

  #end(facts: StreamEndFacts, upstreamCode: number, arrivalMs: number): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#upstream?.finish(upstreamCode);
    // What the native thread has passed on, and lost of it, is told before the end.
    this.#path.leave(() => this.#ended(facts, arrivalMs));
  }

  #ended(facts: StreamEndFacts, arrivalMs: number): void {
    this.#feed.end(facts, arrivalMs);
    this.#context.counters.add('streams', -1);
    this.#log.info({ ...facts, problems: this.#problems.totals() }, 'stream ended');
    this.#call.detach(this, facts.reason);
    this.#context.onChange(this.#call);
  }
}

const bridgeCodes: ReadonlySet<ErrorCode> = new Set(['bridge_failed', 'bridge_unavailable', 'sdk_missing']);

/** The bot doesn't know of the clip that has ended. */
function isOwnClip(event: ProviderEvent): boolean {
  return event.kind === 'clipDone' && event.id === ownClipId;
}
