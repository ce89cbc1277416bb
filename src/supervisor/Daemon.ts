import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { implementation } from '../audio/kernels.js';
import type { Config } from '../config/Config.js';
import { lastLines, threadLog } from '../config/threadLog.js';
import type {
  ControlData,
  FromControl,
  ServeFlags,
  ThreadStates,
  ToControl,
} from '../control/ControlMessage.js';
import type { FromRecorder, RecorderData, ToRecorder } from '../recorder/RecorderMessage.js';
import { MediaServer } from '../relay/MediaServer.js';
import { DaemonFolder } from '../spool/DaemonFolder.js';
import { Counters } from '../tap/Counters.js';
import { createRing } from '../tap/Ring.js';
import { RingTap } from '../tap/RingTap.js';
import { ControlLink, isFromControl, needsRestart } from './ControlLink.js';
import { SupervisedThread } from './SupervisedThread.js';

/** Heap of the worker threads, MiB. Audio lies outside the heap, so this is bookkeeping and messages. */
const recorderHeapMiB = 512;
const controlHeapMiB = 512;
/** How long the start waits for the recorder, ms; after that calls come first. */
const recorderPatienceMs = 5000;
/** Recorders that may be lost while they seal what the last one left, before the daemon ends without. */
const lossesAtEnd = 3;
/** How long the end waits for uploads, ms. */
const uploadPatienceMs = 5000;

/**
 * The whole daemon: this thread moves media and supervises; the recorder and the control thread hang on it by shared memory
 * and message ports and may end at any time without it noticing more than a log line.
 *
 *     start: control thread → configuration → lock on the spool → recorder thread → media port
 *     stop:  media port → recorder (seals) → control (stores) → lock
 */
export class Daemon {
  readonly #flags: ServeFlags;
  readonly #counters = new Counters();
  readonly #tokenKey = randomBytes(32);
  readonly #control: SupervisedThread;
  readonly #link: ControlLink;
  readonly #log = threadLog('media');
  #config: Config | null = null;
  #folder: DaemonFolder | null = null;
  #recorder: SupervisedThread | null = null;
  #media: MediaServer | null = null;
  #states: ThreadStates = { media: 'ready', recorder: 'starting', control: 'starting' };
  #recorderReady: (() => void) | null = null;
  #recorderStopped: ((isSealed: boolean) => void) | null = null;
  #controlStopped: ((unstored: number) => void) | null = null;
  #configured: { resolve: (config: Config) => void; reject: (error: Error) => void } | null = null;
  #controlReady: { resolve: (port: number) => void; reject: (error: Error) => void } | null = null;
  /** The control port that was listened on, for successors of the thread. */
  #controlPort: number | null = null;
  /** Control may touch the spool, and each successor of it too. */
  #begun = false;
  #losses = 0;
  /** As control said last. */
  #isSpoolFull = false;

  constructor(flags: ServeFlags) {
    this.#flags = flags;
    this.#link = new ControlLink((message) => this.#control.post(message));
    this.#control = new SupervisedThread({
      name: 'control',
      entry: new URL('../control/ControlThread.js', import.meta.url),
      data: (heartbeat) => this.#controlData(heartbeat),
      heapMiB: controlHeapMiB,
      onMessage: (message) => isFromControl(message) && this.#fromControl(message),
      onLost: () => this.#controlLost(),
      log: this.#log,
    });
  }

  /**
   * @returns the ports that are being listened on
   * @throws Error with the configuration's faults; ReelayError `spool_locked`, `spool_unwritable`; the system's errors for ports
   */
  async start(): Promise<{ mediaPort: number; controlPort: number }> {
    try {
      const configured = new Promise<Config>((resolve, reject) => (this.#configured = { resolve, reject }));
      this.#control.start();
      const config = (this.#config = await configured);
      this.#log.level = config.log.level;
      this.#folder = await DaemonFolder.claim(config.spool.dir);
      const tap = await this.#startRecorder(config, this.#folder.path);
      this.#media = this.#createMedia(config, tap);
      const { port: mediaPort } = await this.#media.listen();
      const ready = new Promise<number>((resolve, reject) => (this.#controlReady = { resolve, reject }));
      this.#begun = true;
      this.#tellControl({ type: 'begin', alone: true });
      const controlPort = (this.#controlPort = await ready);
      this.#log.info({ mediaPort, controlPort, kernels: implementation }, 'reelay is ready');
      return { mediaPort, controlPort };
    } catch (error) {
      await this.#media?.close();
      await this.#recorder?.stop();
      await this.#control.stop();
      await this.#folder?.release();
      throw error;
    }
  }

  /** Asks control to read the configuration again; running calls keep what they have. */
  reload(): void {
    if (this.#tellControl({ type: 'reload' })) return;
    this.#log.error('the configuration was not reloaded: its thread is being started again; ask once more');
  }

  /** Something that nobody caught: the calls go on, and it is told loudly. */
  uncaught(error: unknown): void {
    this.#log.error({ err: error }, 'uncaught exception');
  }

  /**
   * Ends calls, seals and stores.
   *
   * @returns the number of recordings that are not in their store yet; the next start goes on with them
   */
  async stop(): Promise<number> {
    this.#states = { ...this.#states, media: 'draining' };
    await this.#media?.close();
    if (this.#recorder !== null) {
      const stopped = new Promise<boolean>((resolve) => (this.#recorderStopped = resolve));
      this.#tellRecorder({ type: 'stop' });
      const isSealed = await stopped;
      await this.#recorder.stop();
      if (isSealed) this.#folder?.forget();
    }
    const unstored = new Promise<number>((resolve) => (this.#controlStopped = resolve));
    if (!this.#tellControl({ type: 'stop', patienceMs: uploadPatienceMs })) this.#controlStopped?.(-1);
    const left = await unstored;
    await this.#control.stop();
    await this.#folder?.release();
    this.#log.info({ unstored: left }, 'reelay has stopped');
    await lastLines(this.#log);
    return left;
  }

  /** Calls that came in before anybody reads the ring would lose more than a flush interval to a crash, so it is waited for. */
  async #startRecorder(config: Config, daemonDir: string): Promise<RingTap> {
    const ring = createRing(config.limits.ringBytes);
    this.#recorder = new SupervisedThread({
      name: 'recorder',
      entry: new URL('../recorder/recorderThread.js', import.meta.url),
      data: (heartbeat) => this.#recorderData(heartbeat, ring, daemonDir, config),
      heapMiB: recorderHeapMiB,
      onMessage: (message) => this.#fromRecorder(message as FromRecorder),
      onLost: () => this.#recorderLost(),
      log: this.#log,
    });
    const ready = new Promise<void>((resolve) => (this.#recorderReady = resolve));
    this.#recorder.start();
    const given = new AbortController();
    await Promise.race([ready, sleep(recorderPatienceMs, undefined, { signal: given.signal })]);
    given.abort();
    return new RingTap(ring, this.#counters);
  }

  #createMedia(config: Config, tap: RingTap): MediaServer {
    return new MediaServer({
      config,
      tap,
      counters: this.#counters,
      tokenKey: this.#tokenKey,
      log: this.#log,
      answer: (request) => this.#link.ask(request),
      findAccount: (accountId) => this.#link.findAccount(accountId),
      threads: () => ({ ...this.#states }),
      onCallsChanged: () => this.#tellControl({ type: 'calls', calls: this.#media?.calls() ?? [] }),
    });
  }

  #controlData(heartbeat: SharedArrayBuffer): { data: ControlData; transfer: MessagePort[] } {
    const { port1, port2 } = new MessageChannel();
    // At the first start there is no recorder yet; it gets the other end when it comes.
    this.#tellRecorder({ type: 'control', port: port1 }, [port1]);
    const data: ControlData = {
      flags: this.#flags,
      config: this.#config,
      counters: this.#counters.buffer,
      heartbeat,
      recorderPort: port2,
      begun: this.#begun,
      ...(this.#controlPort === null ? {} : { listenPort: this.#controlPort }),
      tokenKey: this.#tokenKey,
      kernels: implementation,
    };
    return { data, transfer: [port2] };
  }

  #recorderData(
    heartbeat: SharedArrayBuffer,
    ring: SharedArrayBuffer,
    daemonDir: string,
    config: Config,
  ): { data: RecorderData; transfer: MessagePort[] } {
    const { port1, port2 } = new MessageChannel();
    this.#tellControl({ type: 'recorder', port: port2 }, [port2]);
    const { dir: spoolDir, flushMs, syncMs } = config.spool;
    const data: RecorderData = {
      ring,
      heartbeat,
      spoolDir,
      daemonDir,
      flushMs,
      syncMs,
      logLevel: config.log.level,
      controlPort: port1,
    };
    return { data, transfer: [port1] };
  }

  #fromControl(message: FromControl): void {
    switch (message.type) {
      case 'config':
        this.#link.askAgain();
        return this.#configure(message.config);
      case 'configError':
        // Before the daemon has started this ends it; later the configuration in force stays.
        this.#log.debug({ code: 'config_invalid' }, message.message);
        this.#configured?.reject(new Error(message.message));
        return this.#controlReady?.reject(new Error(message.message));
      case 'ready':
        this.#setStates({ control: 'ready' });
        return this.#controlReady?.resolve(message.port);
      case 'httpAnswer':
        return this.#link.answer(message.id, message.response);
      case 'account':
        return this.#link.found(message.id, message.account);
      case 'spool':
        return this.#spoolFull(message.full);
      case 'fault':
        if (process.env['REELAY_FAULTS'] === '1') this.#tellRecorder(message);
        return;
      case 'stopped':
        this.#controlStopped?.(message.unstored);
    }
  }

  #configure(config: Config): void {
    if (this.#config === null) {
      this.#configured?.resolve(config);
      return;
    }
    const keys = needsRestart(this.#config, config);
    if (keys.length > 0) this.#log.warn({ keys }, 'these settings take effect at the next start');
    this.#config = config;
    this.#media?.reload(config);
    this.#log.info({ accounts: config.accounts.length }, 'the configuration is in force');
  }

  #spoolFull(isFull: boolean): void {
    if (isFull === this.#isSpoolFull) return;
    this.#isSpoolFull = isFull;
    this.#media?.setSpoolFull(isFull);
    if (isFull) this.#log.warn({ code: 'spool_full' }, 'calls that begin now are relayed and not recorded');
    else this.#log.info('calls that begin now are recorded again');
  }

  #fromRecorder(message: FromRecorder): void {
    if (message.type === 'stopped') {
      this.#recorderStopped?.(message.sealed);
      return;
    }
    this.#recorderReady?.();
    this.#setStates({ recorder: 'ready' });
    // What its predecessor was told and didn't come to do.
    if (this.#recorderStopped !== null) this.#tellRecorder({ type: 'stop' });
  }

  /** One that fails at the end again and again leaves its journal to the next start. */
  #recorderLost(): void {
    this.#counters.add('recorderRestarts');
    this.#setStates({ recorder: 'restarting' });
    if (this.#recorderStopped !== null && ++this.#losses >= lossesAtEnd) this.#recorderStopped(false);
  }

  /**
   * A successor starts with an empty view of the calls and without leave to touch the spool: give it both. Whether the spool is
   * full it says itself; until then it is as it was, since nothing has been stored meanwhile.
   */
  #controlLost(): void {
    this.#counters.add('controlRestarts');
    this.#link.lost();
    this.#setStates({ control: 'restarting' });
    if (this.#controlStopped !== null) this.#controlStopped(-1);
  }

  #setStates(change: Partial<ThreadStates>): void {
    this.#states = { ...this.#states, ...change };
    this.#tellControl({ type: 'threads', states: this.#states });
    if (change.control === 'ready') {
      this.#tellControl({ type: 'calls', calls: this.#media?.calls() ?? [] });
    }
  }

  /** @returns whether there is a thread to tell */
  #tellControl(message: ToControl, transfer: MessagePort[] = []): boolean {
    return this.#control.post(message, transfer);
  }

  #tellRecorder(message: ToRecorder, transfer: MessagePort[] = []): void {
    this.#recorder?.post(message, transfer);
  }
}
