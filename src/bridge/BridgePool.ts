import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { AccountConfig, Config } from '../config/Config.js';
import { ReelayError } from '../config/ReelayError.js';
import { isRoomUrl, readRoomUrl, type RoomUrl } from '../config/roomUrl.js';
import type { Counters } from '../tap/Counters.js';
import { accessTokenOf } from './accessToken.js';
import { bridgeFailure } from './BridgeClose.js';
import { identityOf, roomNameOf, textParameters } from './BridgedCallFacts.js';
import type { BridgeableCall, BridgedCallFacts } from './BridgedCallFacts.js';
import { BridgeProcess } from './BridgeProcess.js';
import type { FromBridge } from './BridgeMessage.js';

/** How often a call whose bridge process was lost, or isn't there yet, is dialled again: a process is there within a second. */
const redials = 7;
const tickMs = 1000;
/** Time between two ticks beyond which the daemon is taken to have stood still, ms. */
const pausedMs = 3000;
/** Pauses between the starts of processes that don't get ready, ms. */
const backoff = { firstMs: 100, longestMs: 5000, missingMs: 30_000 } as const;
/** One that has lived so long is started again at once, ms. */
const settledMs = 10_000;
/** How long {@link BridgePool.stop} waits for processes to leave their rooms. */
const graceMs = 1500;

/** Where a bridged call is connected to. */
export interface BridgeTarget {
  readonly url: string;
  readonly protocols: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
}

/** The way of one call into its room, for as long as it lasts. */
export interface BridgeRoute {
  /** To be asked for each dial. @throws ReelayError `bridge_unavailable`, `sdk_missing`, `bridge_failed` */
  target(): BridgeTarget;
  readonly redials: number;
  /** What a close code says of the bridge; null: nothing, its process is gone. */
  readonly meaning: (code: number) => ReelayError | null;
}

/**
 * The processes that carry calls into rooms. One is kept ready as long as an account has rooms for an upstream; another is started
 * when those that there are are half full, up to `limits.bridgeProcesses`. The media thread only chooses one and tells it what to expect:
 * the call's frames go there over a socket on loopback, like those to any other bot.
 */
export class BridgePool {
  readonly #counters: Counters;
  readonly #log: Logger;
  readonly #module: URL;
  readonly #processes = new Set<BridgeProcess>();
  readonly #logs = new Map<string, Logger>();
  readonly #ended = { droppedToRoomMs: 0, droppedToPhoneMs: 0, clears: 0 };
  #config: Config;
  #timer: NodeJS.Timeout | undefined;
  #tickedMs = performance.now();
  #pauseMs: number = backoff.firstMs;
  #notBeforeMs = -Infinity;
  #missing: string | null = null;
  #isStopping = false;
  #onEmpty: (() => void) | undefined;

  constructor(options: {
    readonly config: Config;
    readonly counters: Counters;
    readonly log: Logger;
    /** What a process runs; tests have another. */
    readonly module?: URL;
  }) {
    this.#config = options.config;
    this.#counters = options.counters;
    this.#log = options.log;
    this.#module = options.module ?? new URL('./bridgeMain.js', import.meta.url);
  }

  /** Whether a call of this account could be one for a room. */
  static isWanted(config: Config): boolean {
    return config.accounts.some(({ upstream }) =>
      Object.values(upstream).some((url) => isRoomUrl(url ?? '')),
    );
  }

  /** Starts what is needed from now on. */
  configure(config: Config): void {
    this.#config = config;
    if (BridgePool.isWanted(config)) this.#begin();
  }

  /** @param log - gets what the bridge says of this call */
  route(url: string, account: AccountConfig, call: BridgeableCall, log: Logger): BridgeRoute {
    return { redials, meaning: bridgeFailure, target: () => this.#target(url, account, call, log) };
  }

  /** Ends every process. Their calls are over by then, or are cut. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#timer);
    for (const each of this.#processes) each.retire();
    if (this.#processes.size === 0) return;
    const late = setTimeout(() => this.#killAll(), graceMs);
    await new Promise<void>((resolve) => (this.#onEmpty = resolve));
    clearTimeout(late);
  }

  get processes(): readonly BridgeProcess[] {
    return [...this.#processes];
  }

  #target(url: string, account: AccountConfig, call: BridgeableCall, log: Logger): BridgeTarget {
    const room = readRoomUrl(url);
    if (room === undefined || account.livekit === null) {
      throw new ReelayError('bridge_failed', { value: url, remedy: 'Give the account its livekit section.' });
    }
    this.#begin();
    if (this.#missing !== null) {
      const remedy = 'npm install @livekit/rtc-node@1.1.0, on a system that it is made for.';
      throw new ReelayError('sdk_missing', { value: this.#missing, remedy });
    }
    const process = this.#choose();
    const facts = factsOf(room, account.livekit, call);
    this.#logs.set(facts.ticket, log);
    const target = process.expect(facts);
    this.#replenish();
    this.#count();
    return { url: target, protocols: [], headers: { Authorization: `Bearer ${facts.ticket}` } };
  }

  /** @throws ReelayError `bridge_unavailable` */
  #choose(): BridgeProcess {
    const { bridgedCallsPerProcess: most } = this.#config.limits;
    const ready = this.processes.filter((each) => each.isReady && each.calls < most);
    const [best] = ready.sort((one, other) => one.calls - other.calls);
    if (best === undefined) {
      const busy = this.processes.filter((each) => each.isReady).length;
      const value = busy === 0 ? 'none is ready yet' : `each of ${busy} has ${most} calls`;
      const remedy = 'If that stays so, raise limits.bridgeProcesses.';
      this.#replenish();
      throw new ReelayError('bridge_unavailable', { value, remedy });
    }
    return best;
  }

  #begin(): void {
    if (this.#isStopping) return;
    if (this.#timer === undefined) {
      this.#tickedMs = performance.now();
      this.#timer = setInterval(() => this.#tick(), tickMs);
    }
    this.#replenish();
  }

  #tick(): void {
    const nowMs = performance.now();
    const sinceMs = nowMs - this.#tickedMs;
    this.#tickedMs = nowMs;
    for (const each of this.#processes) each.tick(nowMs, sinceMs > pausedMs ? sinceMs : 0);
    this.#replenish();
    this.#count();
  }

  /** Starts a process where one is missing, one at a time. */
  #replenish(): void {
    if (this.#isStopping || performance.now() < this.#notBeforeMs) return;
    const usable = this.processes.filter((each) => !each.isRetiring);
    if (usable.some((each) => !each.isReady)) return;
    const { bridgedCallsPerProcess: most, bridgeProcesses } = this.#config.limits;
    const isEnough = usable.some((each) => each.calls < most / 2);
    if (isEnough || usable.length >= bridgeProcesses) return;
    try {
      this.#start();
    } catch (error) {
      this.#notBeforeMs = performance.now() + backoff.longestMs;
      this.#log.error({ code: 'bridge_failed', err: error }, 'no bridge process can be started');
    }
  }

  #start(): void {
    const startedMs = performance.now();
    this.#missing = null;
    const process: BridgeProcess = new BridgeProcess(
      {
        ready: () => {
          this.#pauseMs = backoff.firstMs;
          this.#log.info({ pid: process.pid }, 'bridge process is ready');
          this.#count();
        },
        failed: (reason, message) => this.#failed(reason, message),
        over: (ticket) => this.#logs.delete(ticket),
        log: (message) => this.#tell(message),
        output: (line) => this.#log.debug({ pid: process.pid, line }, 'bridge process'),
        ended: (how) => this.#lost(process, how, startedMs),
      },
      this.#module,
      startedMs,
    );
    this.#processes.add(process);
  }

  #failed(reason: 'missing' | 'other', message: string): void {
    if (reason !== 'missing') return;
    this.#missing = message.slice(0, 200);
    this.#pauseMs = backoff.missingMs;
    this.#log.error({ code: 'sdk_missing', value: this.#missing }, 'calls can’t be carried into rooms');
  }

  #lost(process: BridgeProcess, how: string, startedMs: number): void {
    this.#processes.delete(process);
    for (const key of ['droppedToRoomMs', 'droppedToPhoneMs', 'clears'] as const)
      this.#ended[key] += process.totals[key];
    this.#count();
    if (this.#isStopping) {
      if (this.#processes.size === 0) this.#onEmpty?.();
      return;
    }
    const isSettled = performance.now() - startedMs > settledMs;
    if (!process.isRetiring) {
      this.#counters.add('bridgeRestarts');
      const code = 'bridge_failed';
      this.#log.error(
        { code, pid: process.pid, how },
        'a bridge process was lost; its calls are dialled again',
      );
    }
    this.#notBeforeMs = isSettled ? -Infinity : performance.now() + this.#pauseMs;
    if (!isSettled) this.#pauseMs = Math.min(Math.max(this.#pauseMs * 2, backoff.firstMs), backoff.longestMs);
    const again = setTimeout(() => this.#replenish(), Math.max(0, this.#notBeforeMs - performance.now()) + 1);
    again.unref();
  }

  #tell({ level, ticket, message, facts }: Extract<FromBridge, { type: 'log' }>): void {
    const log = (ticket === null ? undefined : this.#logs.get(ticket)) ?? this.#log;
    log[level](facts, message);
  }

  #count(): void {
    const sum = { ...this.#ended };
    for (const { totals } of this.#processes)
      for (const key of ['droppedToRoomMs', 'droppedToPhoneMs', 'clears'] as const) sum[key] += totals[key];
    const { processes } = this;
    this.#counters.set('bridgeProcesses', processes.filter((each) => each.isReady).length);
    this.#counters.set(
      'bridgedCalls',
      processes.reduce((calls, each) => calls + each.calls, 0),
    );
    this.#counters.set(
      'bridgeRssBytes',
      processes.reduce((bytes, each) => bytes + each.totals.rssBytes, 0),
    );
    this.#counters.set('bridgeDroppedToRoomMs', sum.droppedToRoomMs);
    this.#counters.set('bridgeDroppedToPhoneMs', sum.droppedToPhoneMs);
    this.#counters.set('bridgeClears', sum.clears);
  }

  #killAll(): void {
    for (const each of this.#processes) each.kill();
  }
}

function factsOf(
  room: RoomUrl,
  keys: NonNullable<AccountConfig['livekit']>,
  call: BridgeableCall,
): BridgedCallFacts {
  const { dialect, accountId, callId, from, to, parameters, returnSampleRate } = call;
  const facts = {
    ticket: randomBytes(24).toString('base64url'),
    dialect,
    accountId,
    callId,
    from,
    to,
    parameters: textParameters(parameters),
    returnSampleRate,
    room: roomNameOf(room.pattern, call),
    identity: identityOf(callId),
    agent: room.agent,
    answerSeconds: room.answerSeconds,
    departureSeconds: room.departureSeconds,
  };
  return { ...facts, server: { url: keys.url, token: accessTokenOf(facts, keys, Date.now()) } };
}
