import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import type { WebSocket } from 'ws';
import type { Config } from '../config/Config.js';
import { readinessOf } from '../config/readiness.js';
import type { ThreadStates } from '../config/readiness.js';
import type { Counters } from '../tap/Counters.js';
import type { RecordingOutcome, RecordingRequest } from '../tap/RecordingRequest.js';
import { ThreadGauges } from '../tap/ThreadGauges.js';
import type { ToRooms } from '../tap/RoomsMessage.js';
import type { Tap } from '../tap/Tap.js';
import { Acceptors } from './Acceptors.js';
import { AccountFinder } from './AccountFinder.js';
import type { AskForAccount } from './AccountFinder.js';
import { Admission, isUnproven } from './Admission.js';
import type { Admitted } from './Admission.js';
import { ArrivalLine } from './ArrivalLine.js';
import type { Call, CallView } from './Call.js';
import { CallChanges } from './CallChanges.js';
import type { CallsNotice } from './CallChanges.js';
import { CallTable } from './CallTable.js';
import { DeclinedRooms } from './DeclinedRooms.js';
import { FastPath } from './FastPath.js';
import { Heartbeats } from './Heartbeats.js';
import type { LiveLoop } from './LiveLoop.js';
import { mediaRoute } from './MediaRoute.js';
import { answerPlain, writeError, writeJson } from './PlainHttp.js';
import type { Answer } from './PlainHttp.js';
import type { OverloadLevel } from './Overload.js';
import { memoryLimit } from './memoryLimit.js';
import { OverloadWatch } from './OverloadWatch.js';
import { ProviderBuffers } from './ProviderBuffers.js';
import { ProviderStream } from './ProviderStream.js';
import { RecordStream } from './RecordStream.js';
import { obey } from './recordingDeeds.js';
import { RefusalLog } from './RefusalLog.js';
import { RoomCalls } from './RoomCalls.js';
import type { RelayContext } from './RelayContext.js';
import { SocketPlaces } from './SocketPlaces.js';
import { StalledSockets } from './StalledSockets.js';
import { admitTrack, isTrackPath } from './TrackAdmission.js';
import { TrackStream } from './TrackStream.js';
import { UpgradeRefusal } from './UpgradeRefusal.js';
import { UpstreamNames } from './UpstreamNames.js';

export interface MediaServerOptions {
  readonly config: Config;
  readonly tap: Tap;
  readonly counters: Counters;
  /** Signs start tokens of accounts without an auth token; shared with whoever mints them. */
  readonly tokenKey: Uint8Array;
  readonly log: Logger;
  /** Answers every plain request but the two for health. */
  readonly answer: Answer;
  /** Asks for accounts that the configuration doesn't list; missing where there is nobody to ask. */
  readonly findAccount?: AskForAccount;
  /** Finds bots by their host names; missing: as the system does. */
  readonly names?: UpstreamNames;
  /** Tells the thread that joins LiveKit rooms something; missing: there is none. */
  readonly postToRooms?: (message: ToRooms) => void;
  /** File of the rooms that aren't to be recorded again; missing: they are forgotten with the process. */
  readonly declinedRooms?: string;
  /** The native thread that moves frames; missing or null: `ws` moves all of them in this one. */
  readonly loop?: LiveLoop | null;
  /** Carries calls into rooms; missing: calls of accounts that have rooms for an upstream find no bot. */
  readonly bridges?: RelayContext['bridges'];
  /** State of every thread, as `/healthz` and `/readyz` show it. */
  readonly threads: () => ThreadStates;
  /** What has changed in {@link MediaServer.calls}, about four times a second while something does. */
  readonly onCallsChanged?: (notice: CallsNotice) => void;
  /** New calls are refused from now on, because there is too little of something, or taken again. */
  readonly onOverloadChanged?: (isRefusing: boolean) => void;
}

const tickMs = 1000;
/** Share of the memory that may wait for providers. */
const bufferShare = 0.25;
const headersTimeoutMs = 5000;
/** How long {@link MediaServer.close} waits for the closing handshakes. */
const closeGraceMs = 1000;
/** Sockets beyond those of the calls: health checks, webhooks, upgrades under way. */
const spareConnections = 256;
/** A client may send thousands of requests without waiting for an answer; the calls would wait for all of them. */
const maxRequestsPerSocket = 100;

/**
 * The media port. Providers' sockets come in here, are let in or refused at the upgrade, and become streams. It runs on the
 * thread that moves media and does nothing that could block it.
 */
export class MediaServer {
  /** The LiveKit rooms among the calls. */
  readonly rooms: RoomCalls;
  readonly #options: MediaServerOptions;
  readonly #server: Server;
  readonly #acceptors = new Acceptors();
  readonly #context: RelayContext;
  readonly #accounts: AccountFinder;
  readonly #places: SocketPlaces;
  readonly #streams = new Set<ProviderStream | RecordStream | TrackStream>();
  readonly #refusals: RefusalLog;
  readonly #changes: CallChanges | undefined;
  readonly #gauges: ThreadGauges;
  readonly #overload: OverloadWatch;
  #config: Config;
  #draining = false;
  readonly #memoryBytes = memoryLimit();
  #ticker: NodeJS.Timeout | undefined;
  #onIdle: (() => void) | undefined;

  constructor(options: MediaServerOptions) {
    this.#options = options;
    this.#config = options.config;
    const { tap, counters, log } = options;
    this.#refusals = new RefusalLog(log);
    this.#gauges = new ThreadGauges(counters, 'media');
    this.#overload = new OverloadWatch(counters, log, (level) => this.#overloaded(level));
    const { onCallsChanged } = options;
    const changes = onCallsChanged === undefined ? undefined : new CallChanges(onCallsChanged);
    this.#changes = changes;
    const onChange = (call: Call): void => changes?.note(call);
    const nobody = (): Promise<'unavailable'> => Promise.resolve('unavailable');
    this.#accounts = new AccountFinder(options.findAccount ?? nobody, counters);
    this.#context = {
      admission: new Admission(options.tokenKey, this.#accounts),
      arrivals: new ArrivalLine(),
      bridges: options.bridges,
      calls: new CallTable({ tap, counters, log, onChange }),
      counters,
      heartbeats: new Heartbeats(),
      buffers: new ProviderBuffers(),
      stalls: new StalledSockets(),
      fast: options.loop === undefined || options.loop === null ? undefined : new FastPath(options.loop),
      names: options.names ?? new UpstreamNames(),
      log,
      onChange,
    };
    this.#places = new SocketPlaces(this.#context);
    this.rooms = new RoomCalls({
      config: () => this.#config,
      calls: this.#context.calls,
      counters,
      declined: new DeclinedRooms(options.declinedRooms ?? null, log),
      post: options.postToRooms ?? ignore,
      onChange,
      onOver: () => this.#idle(),
    });
    this.#server = this.#createServer();
  }

  /**
   * @returns the port, which is a free one where the configuration says 0
   * @throws the system's error when the port can't be had, for example `EADDRINUSE`
   */
  listen(): Promise<{ port: number }> {
    const { host, port } = this.#config.media;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', (error) => this.#options.log.error({ err: error }, 'media port failed'));
        this.#gauges.start();
        this.#ticker = setInterval(() => this.#tick(), tickMs);
        this.rooms.begin();
        resolve({ port: (this.#server.address() as AddressInfo).port });
      });
    });
  }

  /** New sockets get the new configuration; streams that are up keep what they have. */
  reload(config: Config): void {
    this.#config = config;
    this.#accounts.forget();
    this.#limitConnections();
  }

  /** Whether calls that begin from now on are relayed without being recorded; those that are up go on as they are. */
  setSpoolFull(isFull: boolean): void {
    this.#context.calls.isSpoolFull = isFull;
  }

  /** The calls that are up, as plain data. */
  calls(): CallView[] {
    return this.#context.calls.views();
  }

  /** Whoever is told of changes knows nothing any more: it gets the whole list, in slices. */
  tellCalls(): void {
    this.#changes?.tellAll();
  }

  /** Somebody else listens from now on; sockets that are up go on. */
  giveUpPort(): void {
    this.#server.close();
  }

  /** Starts, pauses, resumes or stops the recording of a call that is up; resolves when that holds for whatever comes. Never rejects. */
  async record(request: RecordingRequest): Promise<RecordingOutcome> {
    const outcome = await obey(this.#context, request);
    this.#changes?.hurry();
    return outcome;
  }

  /** Takes no further sockets. Resolves when the calls that are up have ended by themselves. */
  async drain(): Promise<void> {
    this.#draining = this.rooms.isDraining = true;
    this.#context.calls.dontResume();
    if (this.#streams.size === 0 && this.rooms.size === 0) return;
    await new Promise<void>((resolve) => (this.#onIdle = resolve));
  }

  /** Ends what is still up, closing every socket with 1001, and gives the port back. */
  async close(): Promise<void> {
    this.#draining = this.rooms.isDraining = true;
    for (const stream of this.#streams) stream.shutDown();
    this.rooms.leaveAll();
    this.#context.calls.dontResume();
    this.#context.calls.cutShort();
    await this.#settled();
    this.rooms.cutAll();
    await this.rooms.written();
    this.#context.heartbeats.terminateAll();
    this.#context.fast?.loop.terminateAll();
    await this.#settled();
    this.#gauges.stop();
    clearInterval(this.#ticker);
    this.#changes?.stop();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** The closing handshakes, as far as they are finished in time. */
  async #settled(): Promise<void> {
    const untilMs = performance.now() + closeGraceMs;
    while (this.#openSockets > 0 && performance.now() < untilMs) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  get #openSockets(): number {
    const { heartbeats, fast } = this.#context;
    return heartbeats.size + (fast?.loop.size ?? 0) + this.rooms.size;
  }

  #createServer(): Server {
    const server = createServer(
      {
        headersTimeout: headersTimeoutMs,
        requestTimeout: 2 * headersTimeoutMs,
        connectionsCheckingInterval: tickMs,
        noDelay: true,
      },
      (request, response) => this.#plain(request, response),
    );
    server.maxConnections = maxConnections(this.#config);
    server.maxRequestsPerSocket = maxRequestsPerSocket;
    server.on('drop', () => this.#context.counters.addRefusal('connections'));
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', ignore);
      this.#arrive(request, socket, head);
    });
    return server;
  }

  #plain(request: IncomingMessage, response: ServerResponse): void {
    response.on('error', ignore);
    const path = request.url?.split('?', 1)[0];
    const threads = { ...this.#options.threads(), media: this.#state };
    if (path === '/healthz') writeJson(response, 200, { status: 'ok', threads });
    else if (path === '/readyz') {
      const { status, body } = readinessOf(threads, this.#context.calls.unrecorded);
      writeJson(response, status, body);
    } else if (this.#draining) {
      // A provider that asks what to do with a call takes its fallback, where that is configured.
      writeError(response, 503, 'draining');
    } else if (this.#overload.level === 2 && path === '/twilio/voice') {
      // The stream that its answer asks for would be refused, when the caller hears nothing but silence any more.
      response.setHeader('Retry-After', '5');
      writeError(response, 503, 'overloaded');
    } else void answerPlain(request, response, this.#options.answer);
  }

  get #state(): ThreadStates['media'] {
    if (this.#draining) return 'draining';
    return this.#overload.level === 2 ? 'overloaded' : 'ready';
  }

  /** Waits for its turn among those that arrive, each of which waits there for its upgrade and for its start. */
  #arrive(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { arrivals } = this.#context;
    const { pendingStreams } = this.#config.limits;
    if (arrivals.length < 2 * pendingStreams) arrivals.take(() => this.#upgrade(request, socket, head));
    else
      this.#refuse(request, socket, new UpgradeRefusal(503, 'too_many_streams', { value: pendingStreams }));
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    try {
      if (isTrackPath(request.url ?? '/')) {
        this.#upgradeTrack(request, socket, head);
        return;
      }
      const admitted = this.#admit(request);
      this.#acceptors.for(admitted)?.handleUpgrade(request, socket, head, (accepted) => {
        this.#accept(accepted, request.socket, admitted);
      });
    } catch (error) {
      this.#refuse(request, socket, error);
    }
  }

  #refuse(request: IncomingMessage, socket: Duplex, error: unknown): void {
    const refusal = error instanceof UpgradeRefusal ? error : new UpgradeRefusal(500, 'stream_failed');
    this.#logRefusal(request, refusal, error);
    refusal.answer(socket);
  }

  /** @throws UpgradeRefusal */
  #upgradeTrack(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#insistOnPlace();
    const track = admitTrack(request, this.#config);
    this.#acceptors.track.handleUpgrade(request, socket, head, (accepted) => {
      const context = this.#context;
      this.#keep((onOver) => new TrackStream({ socket: accepted, track, context, onOver }));
    });
  }

  /** @throws UpgradeRefusal */
  #admit(request: IncomingMessage): Admitted {
    const route = mediaRoute(request.url ?? '/');
    if (route === null)
      throw new UpgradeRefusal(404, 'path_unknown', { value: request.url?.split('?', 1)[0] });
    this.#insistOnPlace();
    const admitted = this.#context.admission.admit(request, route, this.#config);
    if (isUnproven(admitted)) this.#places.insistForStranger(admitted);
    return admitted;
  }

  /** @throws UpgradeRefusal */
  #insistOnPlace(): void {
    if (this.#draining) throw new UpgradeRefusal(503, 'draining');
    if (this.#overload.level === 2) throw new UpgradeRefusal(503, 'overloaded');
    this.#places.insist(this.#config);
  }

  #accept(socket: WebSocket, wire: Socket, admitted: Admitted): void {
    this.#keep((onOver) => {
      const options = { socket, wire, admitted, context: this.#context, onOver };
      return admitted.endpoint === 'record' ? new RecordStream(options) : new ProviderStream(options);
    });
  }

  #keep(open: (onOver: () => void) => ProviderStream | RecordStream | TrackStream): void {
    const stream = open(() => {
      this.#streams.delete(stream);
      this.#idle();
    });
    this.#streams.add(stream);
    this.#limitConnections();
  }

  #idle(): void {
    if (this.#streams.size === 0 && this.rooms.size === 0) this.#onIdle?.();
  }

  /** The native thread's sockets are Node's no longer, so they are taken off what Node may have; 0 would be no limit to it. */
  #limitConnections(): void {
    const elsewhere = this.#context.fast?.loop.board.waiting.sockets ?? 0;
    this.#server.maxConnections = Math.max(1, maxConnections(this.#config) - elsewhere);
  }

  #logRefusal(request: IncomingMessage, refusal: UpgradeRefusal, cause: unknown): void {
    const { code, value, message } = refusal.reason;
    this.#context.counters.addRefusal(code);
    const path = request.url?.split('?', 1)[0]?.slice(0, 200);
    const { remoteAddress } = request.socket;
    const err = cause === refusal ? {} : { err: cause };
    this.#refusals.warn({ code, value, path, remoteAddress, status: refusal.status, ...err }, message);
  }

  #tick(): void {
    const nowMs = performance.now();
    this.#options.tap.clock(nowMs);
    this.#overload.tick(this.#config.limits);
    this.#context.heartbeats.tick(nowMs);
    this.#context.stalls.tick(nowMs);
    this.rooms.tick();
    const { memoryBytes } = this.#config.limits;
    const { buffers, fast } = this.#context;
    buffers.tick((memoryBytes ?? this.#memoryBytes) * bufferShare, fast?.loop.board.waiting);
    fast?.loop.share(buffers.shareBytes);
    this.#limitConnections();
    this.#refusals.tick();
  }

  #overloaded(level: OverloadLevel): void {
    this.#context.calls.isOverloaded = level > 0;
    this.#options.onOverloadChanged?.(level === 2);
  }
}

/** A call has its own stream, perhaps a tap, and for a moment the one that takes its place. */
function maxConnections(config: Config): number {
  return 3 * config.limits.calls + config.limits.pendingStreams + spareConnections;
}

function ignore(): void {
  // A socket that broke before it became a stream is nobody's loss.
}
