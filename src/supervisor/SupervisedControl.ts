import type { MessagePort } from 'node:worker_threads';
import type { Logger } from 'pino';
import { implementation } from '../audio/kernels.js';
import type { Config } from '../config/Config.js';
import type { ControlData, FromControl, ServeFlags, ToControl } from '../control/ControlMessage.js';
import type { RecordingOutcome, RecordingRequest } from '../tap/RecordingRequest.js';
import type { RoomOutcome, RoomRequest } from '../tap/RoomRequest.js';
import { ControlLink, isFromControl } from './ControlLink.js';
import { SupervisedThread } from './SupervisedThread.js';

/** Heap of the thread, MiB. */
const heapMiB = 512;

/** What the thread says unasked. */
export interface ControlEvents {
  /** The first configuration, and each that was read anew. */
  configured(config: Config): void;
  ready(): void;
  lost(): void;
  /** It can't be ended, so it has no successor for now. */
  stuck(): void;
  trouble(isInTrouble: boolean): void;
  spoolFull(isFull: boolean): void;
  /** Somebody wants the recording of a call started, paused, resumed or stopped. Never rejects. */
  record(request: RecordingRequest): Promise<RecordingOutcome>;
  /** A LiveKit room is to be recorded. */
  room(request: RoomRequest): RoomOutcome;
  /** An admin wants another thread broken. */
  fault(message: Extract<FromControl, { type: 'fault' }>): void;
}

export interface SupervisedControlOptions {
  readonly flags: ServeFlags;
  readonly counters: SharedArrayBuffer;
  readonly tokenKey: Uint8Array;
  /** As of {@link ControlData}. */
  readonly linkKey: Uint8Array;
  /** The configuration in force; null before the first. */
  readonly config: () => Config | null;
  /** A port to the recorder that is there now, whose other end that has. */
  readonly recorderPort: () => MessagePort;
  readonly events: ControlEvents;
  readonly log: Logger;
}

interface Promised<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The control thread as main sees it. What a successor of it has to know, and can't find in the spool, is kept here: where it may
 * listen, and which recordings in the spool are this daemon's as long as other daemons have some there, too.
 */
export class SupervisedControl {
  readonly link = new ControlLink((message) => this.post(message));
  readonly #options: SupervisedControlOptions;
  readonly #thread: SupervisedThread;
  /** Cell 0: 1 while everything in the spool is this daemon's. Shared, so that it holds from the moment on at which main says so. */
  readonly #alone = new SharedArrayBuffer(4);
  /** Recordings that are this daemon's when not everything is; null while everything is, or nobody needs to know. */
  #own: Set<string> | null = new Set();
  /** The thread may touch the spool, and each successor of it too. */
  #begun = false;
  #listens = true;
  /** The port that was listened on, for successors. */
  #port: number | null = null;
  #configured: Promised<Config> | null = null;
  #hasBegun: (() => void) | null = null;
  #ready: Promised<number> | null = null;
  #handedOver: ((own: readonly string[]) => void) | null = null;
  #stopped: ((unstored: number) => void) | null = null;

  constructor(options: SupervisedControlOptions) {
    this.#options = options;
    this.#thread = new SupervisedThread({
      name: 'control',
      entry: new URL('../control/ControlThread.js', import.meta.url),
      data: (heartbeat) => this.#data(heartbeat),
      heapMiB,
      onMessage: (message) => isFromControl(message) && this.#receive(message),
      onLost: () => this.#lost(),
      onStuck: () => options.events.stuck(),
      onTrouble: (isInTrouble) => options.events.trouble(isInTrouble),
      log: options.log,
    });
  }

  get port(): number | null {
    return this.#port;
  }

  /** @throws Error with the configuration's faults */
  start(): Promise<Config> {
    const configured = new Promise<Config>((resolve, reject) => (this.#configured = { resolve, reject }));
    this.#thread.start();
    return configured;
  }

  /** @returns whether there is a thread to tell */
  post(message: ToControl, transfer: MessagePort[] = []): boolean {
    return this.#thread.post(message, transfer);
  }

  /** The lock is held and nobody else has anything in the spool: the thread takes it up, and listens. @returns its port */
  async begin(): Promise<number> {
    this.#setAlone();
    const ready = this.#whenReady();
    this.#begun = true;
    this.post({ type: 'begin', listens: true });
    return (this.#port = await ready);
  }

  /** The lock is held, and other daemons have recordings in the spool and perhaps the port: the thread sees what is there. */
  async beginBeside(): Promise<void> {
    this.#listens = false;
    const begun = new Promise<void>((resolve) => (this.#hasBegun = resolve));
    this.#begun = true;
    this.post({ type: 'begin', listens: false });
    await begun;
  }

  /** The port should be free: the thread listens. @returns its port */
  async listen(): Promise<number> {
    const ready = this.#whenReady();
    this.#listens = true;
    this.post({ type: 'listen' });
    return (this.#port = await ready);
  }

  /** A recording begins. */
  note(recordingId: string): void {
    this.#own?.add(recordingId);
  }

  /** From now on everything in the spool is this daemon's. */
  alone(): void {
    this.#setAlone();
    this.post({ type: 'alone' });
  }

  /**
   * Another daemon takes over: from now on only what is known, or announced by the own recorder, is this daemon's. Resolves when the
   * port is free.
   *
   * @param live - recordings of the calls that are up
   */
  async handOver(live: readonly string[]): Promise<void> {
    Atomics.store(new Int32Array(this.#alone), 0, 0);
    this.#own ??= new Set();
    for (const recordingId of live) this.note(recordingId);
    this.#listens = false;
    const known = new Promise<readonly string[]>((resolve) => (this.#handedOver = resolve));
    // Where there is no thread nobody listens, and its successor won't.
    if (!this.post({ type: 'handOver' })) this.#handedOver?.([]);
    for (const recordingId of await known) this.note(recordingId);
  }

  /** @returns recordings that are not in their store yet; -1 when nobody can say */
  store(patienceMs: number): Promise<number> {
    const unstored = new Promise<number>((resolve) => (this.#stopped = resolve));
    if (!this.post({ type: 'stop', patienceMs })) this.#stopped?.(-1);
    return unstored;
  }

  /** Gives what is being stored no more time than this, ms. */
  hurry(patienceMs: number): void {
    if (this.#stopped !== null) this.post({ type: 'stop', patienceMs });
  }

  /** @returns false when it can't be ended */
  async stop(): Promise<boolean> {
    return await this.#thread.stop();
  }

  #whenReady(): Promise<number> {
    return new Promise<number>((resolve, reject) => (this.#ready = { resolve, reject }));
  }

  #setAlone(): void {
    this.#own = null;
    Atomics.store(new Int32Array(this.#alone), 0, 1);
  }

  #data(heartbeat: SharedArrayBuffer): { data: ControlData; transfer: MessagePort[] } {
    const { flags, counters, tokenKey, linkKey, config, recorderPort: portToRecorder } = this.#options;
    const recorderPort = portToRecorder();
    const data: ControlData = {
      flags,
      config: config(),
      counters,
      heartbeat,
      recorderPort,
      begun: this.#begun,
      listens: this.#listens,
      ...(this.#port === null ? {} : { listenPort: this.#port }),
      alone: this.#alone,
      own: [...(this.#own ?? [])],
      tokenKey,
      linkKey,
      kernels: implementation,
    };
    return { data, transfer: [recorderPort] };
  }

  #receive(message: FromControl): void {
    const { events, log } = this.#options;
    switch (message.type) {
      case 'config':
        this.link.askAgain();
        this.#configured?.resolve(message.config);
        return events.configured(message.config);
      case 'configError':
        // Before the daemon has started this ends it; later the configuration in force stays.
        log.debug({ code: 'config_invalid' }, message.message);
        this.#configured?.reject(new Error(message.message));
        return this.#ready?.reject(new Error(message.message));
      case 'begun':
        return this.#hasBegun?.();
      case 'ready':
        events.ready();
        return this.#ready?.resolve(message.port);
      case 'httpAnswer':
        return this.link.answer(message.id, message.response);
      case 'account':
        return this.link.found(message.id, message.account);
      case 'spool':
        return events.spoolFull(message.full);
      case 'record':
        void events
          .record(message.request)
          .then((outcome) => this.post({ type: 'recorded', id: message.id, outcome }));
        return;
      case 'room':
        this.post({ type: 'roomed', id: message.id, outcome: events.room(message.request) });
        return;
      case 'fault':
        return events.fault(message);
      case 'handedOver':
        return this.#handedOver?.(message.own);
      case 'stopped':
        this.#stopped?.(message.unstored);
    }
  }

  /** A successor starts with an empty view of the calls; main gives it one when it is ready. */
  #lost(): void {
    this.link.lost();
    this.#options.events.lost();
    this.#handedOver?.([]);
    this.#stopped?.(-1);
  }
}
