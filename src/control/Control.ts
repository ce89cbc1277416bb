import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessagePort } from 'node:worker_threads';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { MemoryCatalogue } from '../catalogue/MemoryCatalogue.js';
import type { Config } from '../config/Config.js';
import { isLoopback } from '../config/isFromHere.js';
import { loadConfig } from '../config/load.js';
import { StartTokens } from '../providers/twilio/startToken.js';
import type { SpoolEvent } from '../spool/SpoolEvent.js';
import { Stores } from '../storage/Stores.js';
import { Uploader } from '../storage/Uploader.js';
import { Counters } from '../tap/Counters.js';
import type { ControlData, FaultKind, FromControl, ThreadStates, ToControl } from './ControlMessage.js';
import { commitFault } from './Fault.js';
import { httpApi } from './HttpApi.js';
import { Keyring } from './Keyring.js';
import { Library } from './Library.js';
import { LiveCalls } from './LiveCalls.js';
import { answerMediaHttp } from './MediaHttp.js';
import { Metrics } from './Metrics.js';
import { spoolSize } from './SpoolSize.js';

/** How often the spool is looked through without being told to, in case an announcement was lost, ms. */
const lookMs = 30_000;
/** How long `stop` waits for uploads, ms. */
const finishMs = 5000;
/** Pause between a successor's tries to listen, ms. */
const listenAgainMs = 100;

/**
 * The control thread's work: configuration, HTTP, catalogue and uploads. It keeps nothing that isn't in spool, stores and
 * configuration, so that a successor starts where it was.
 */
export class Control {
  readonly #data: ControlData;
  readonly #post: (message: FromControl) => void;
  readonly #log: Logger;
  /** Where it was at the start; a reload doesn't move it. */
  readonly #spoolDir: string;
  readonly #calls = new LiveCalls();
  readonly #library: Library;
  readonly #uploader: Uploader;
  readonly #metrics: Metrics;
  readonly #tokens: StartTokens;
  readonly #app: FastifyInstance;
  #config: Config;
  #stores: Stores;
  #keyring: Keyring;
  #recorderPort: MessagePort | null = null;
  /** Null before `begin`. */
  #looking: NodeJS.Timeout | null = null;
  #spoolBytes = 0;
  #threads: ThreadStates = { media: 'ready', recorder: 'starting', control: 'ready' };

  private constructor(data: ControlData, config: Config, log: Logger, post: (message: FromControl) => void) {
    this.#data = data;
    this.#post = post;
    this.#log = log;
    this.#config = config;
    this.#spoolDir = config.spool.dir;
    this.#stores = new Stores(config);
    this.#keyring = new Keyring(config);
    this.#tokens = new StartTokens(data.tokenKey);
    this.#library = new Library(new MemoryCatalogue(), this.#spoolDir, this.#stores);
    this.#uploader = this.#makeUploader();
    this.#metrics = new Metrics({
      counters: new Counters(data.counters),
      threads: () => this.#threads,
      spoolBytes: () => this.#spoolBytes,
      oldestUnstoredMs: () => this.#uploader.oldestUnstoredMs,
    });
    this.#app = this.#makeApp();
    this.#listenTo(data.recorderPort);
  }

  /**
   * Reads the configuration and posts it; nothing else happens until `begin`.
   *
   * @returns undefined after a `configError`
   */
  static configure(
    data: ControlData,
    log: (config: Config) => Logger,
    post: (message: FromControl) => void,
  ): Control | undefined {
    let config: Config;
    try {
      // A restart of the thread is not a reload: the successor takes what is in force.
      config = data.config ?? loadConfig(data.flags);
    } catch (error) {
      post({ type: 'configError', message: (error as Error).message });
      return undefined;
    }
    post({ type: 'config', config });
    return new Control(data, config, log(config), post);
  }

  /** Whatever main says. */
  receive(message: ToControl): void {
    switch (message.type) {
      case 'begin':
        void this.#begin();
        return;
      case 'reload':
        return this.#reload();
      case 'http': {
        const sources = {
          config: this.#config,
          tokens: this.#tokens,
          threads: this.#threads,
          log: this.#log,
        };
        const response = answerMediaHttp(message.request, sources);
        return this.#post({ type: 'httpAnswer', id: message.id, response });
      }
      case 'calls':
        return this.#calls.take(message.calls);
      case 'threads':
        this.#threads = message.states;
        return;
      case 'recorder':
        this.#listenTo(message.port);
        void this.#look();
        return;
      case 'stop':
        void this.#stop();
    }
  }

  /** Takes up the spool, listens, posts `ready`, and goes on uploading. The spool's lock is main's and held by now. */
  async #begin(): Promise<void> {
    if (this.#looking !== null) return;
    this.#looking = setInterval(() => void this.#look(), lookMs);
    // Before anybody can ask: a recording that was known to the predecessor is known from the first request on.
    await this.#library.scanSpool();
    const port = await this.#listen();
    if (port === null) return;
    this.#post({ type: 'ready', port });
    this.#log.info(
      { host: this.#config.control.host, port, kernels: this.#data.kernels },
      'control port is open',
    );
    if (
      this.#keyring.isEmpty &&
      !isLoopback(this.#config.control.host) &&
      this.#config.control.host !== 'localhost'
    )
      this.#log.warn('there are no keys: the control port answers this machine only; set control.adminKeys');
    this.#readStores();
    await this.#look();
  }

  /** A successor tries for as long as it takes, since its predecessor's socket has to go first; at the start it says what is wrong. */
  async #listen(): Promise<number | null> {
    const { host, port } = this.#config.control;
    for (;;) {
      try {
        await this.#app.listen({ host, port: this.#data.listenPort ?? port });
        return (this.#app.server.address() as AddressInfo).port;
      } catch (error) {
        const reason = (error as Error).message;
        if (this.#data.config === null) {
          const message = `control.host and control.port: cannot listen on ${host}:${port} (${reason}).`;
          this.#post({
            type: 'configError',
            message: `${message} Choose others, or end what listens there.`,
          });
          return null;
        }
        this.#log.warn({ reason }, 'the control port is not free yet');
        await sleep(listenAgainMs);
      }
    }
  }

  #listenTo(port: MessagePort): void {
    this.#recorderPort?.close();
    this.#recorderPort = port;
    port.on('message', (event: SpoolEvent) => void this.#announced(event));
  }

  async #announced(event: SpoolEvent): Promise<void> {
    await this.#library.take(event);
    if (event.type === 'sealed' || event.type === 'ended') this.#uploader.wake(event.folder);
  }

  #reload(): void {
    try {
      this.#config = loadConfig(this.#data.flags);
    } catch (error) {
      this.#log.error({ err: error }, 'the configuration was not reloaded; the one in force stays');
      this.#post({ type: 'configError', message: (error as Error).message });
      return;
    }
    this.#stores = new Stores(this.#config);
    this.#keyring = new Keyring(this.#config);
    this.#post({ type: 'config', config: this.#config });
    this.#log.info({ accounts: this.#config.accounts.length }, 'the configuration was reloaded');
    if (this.#looking !== null) this.#readStores();
    void this.#look();
  }

  #readStores(): void {
    void this.#library.scanStores(this.#stores, (store, error) => {
      this.#log.error(
        { err: error, store: store.name },
        'a store cannot be listed; its recordings are not shown',
      );
    });
  }

  /** What lies in the spool is the truth; announcements only save the time until the next look. */
  async #look(): Promise<void> {
    if (this.#looking === null) return;
    await this.#uploader.wakeAll();
    this.#spoolBytes = await spoolSize(this.#spoolDir);
  }

  async #stop(): Promise<void> {
    const unstored = this.#looking === null ? 0 : await this.#finish(this.#looking);
    await this.#app.close();
    this.#recorderPort?.close();
    this.#post({ type: 'stopped', unstored });
  }

  /** @returns recordings that stay in the spool until the next start */
  async #finish(looking: NodeJS.Timeout): Promise<number> {
    clearInterval(looking);
    await this.#uploader.wakeAll();
    const late = new AbortController();
    const patience = sleep(finishMs, undefined, { signal: late.signal }).catch(() => undefined);
    await Promise.race([this.#uploader.settled(), patience]);
    await Promise.race([this.#uploader.stop(), patience]);
    late.abort();
    return await this.#uploader.unstored();
  }

  #makeUploader(): Uploader {
    return new Uploader({
      spoolDir: this.#spoolDir,
      storeOf: (accountId) => this.#stores.of(accountId),
      observer: {
        stored: ({ name, bytes }) => {
          this.#metrics.bytesStored.inc(bytes);
          if (name.endsWith('.wav')) this.#metrics.chunksStored.inc();
        },
        retrying: ({ folder, error, delayMs }) => {
          this.#metrics.uploadRetries.inc();
          const wait = Math.round(delayMs);
          this.#log.warn(
            { code: 'store_unwritable', err: error, folder, wait },
            'storing failed; trying again',
          );
        },
        stuck: ({ folder, error }) => this.#log.error({ err: error, folder }, 'a recording cannot be stored'),
        finished: async (folder, manifest) => {
          await this.#library.finished(folder, manifest);
          this.#metrics.recordingsStored.inc({ state: manifest.state });
          const { recordingId, state, reason, durationSeconds } = manifest;
          this.#log.info({ recordingId, state, reason, durationSeconds }, 'recording stored');
        },
      },
    });
  }

  #makeApp(): FastifyInstance {
    return httpApi({
      library: this.#library,
      calls: this.#calls,
      metrics: this.#metrics,
      keyring: () => this.#keyring,
      threads: () => this.#threads,
      fault: process.env['REELAY_FAULTS'] === '1' ? (thread, fault) => this.#fault(thread, fault) : null,
      log: this.#log,
    });
  }

  #fault(thread: 'recorder' | 'control', fault: FaultKind): void {
    this.#log.warn({ worker: thread, fault }, 'breaking a thread, as asked');
    if (thread === 'recorder') this.#post({ type: 'fault', fault });
    else commitFault(fault);
  }
}
