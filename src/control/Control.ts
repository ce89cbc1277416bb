import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessagePort } from 'node:worker_threads';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { MemoryCatalogue } from '../catalogue/MemoryCatalogue.js';
import type { Config, RecordFormat } from '../config/Config.js';
import { isLoopback } from '../config/isFromHere.js';
import { loadConfig } from '../config/load.js';
import { StartTokens } from '../providers/twilio/startToken.js';
import type { Manifest } from '../spool/Manifest.js';
import type { SpoolEvent } from '../spool/SpoolEvent.js';
import { clockOf } from '../storage/Clock.js';
import { Stores } from '../storage/Stores.js';
import { Uploader } from '../storage/Uploader.js';
import { Counters } from '../tap/Counters.js';
import type {
  ControlData,
  FaultKind,
  FromControl,
  PlainRequest,
  ThreadStates,
  ToControl,
} from './ControlMessage.js';
import { AccountDirectory } from './AccountDirectory.js';
import { Alerts } from './Alerts.js';
import { FailedRecordings } from './FailedRecordings.js';
import { commitFault } from './Fault.js';
import { httpApi } from './HttpApi.js';
import { Keyring } from './Keyring.js';
import { Library } from './Library.js';
import { LiveCalls } from './LiveCalls.js';
import { answerMediaHttp } from './MediaHttp.js';
import { Metrics } from './Metrics.js';
import { SpoolWatch } from './SpoolWatch.js';
import { uploadFaults, type UploadFaults } from './uploadFaults.js';
import { UploadWatch } from './UploadWatch.js';

/** How often the spool is looked through without being told to, in case an announcement was lost, ms. */
const lookMs = 30_000;
/** After how long stores that could not be read are read again, ms. */
const readAgainMs = 300_000;
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
  readonly #stores: Stores;
  readonly #library: Library;
  readonly #alerts: Alerts;
  readonly #spool: SpoolWatch;
  readonly #failed: FailedRecordings;
  readonly #watch: UploadWatch;
  readonly #uploader: Uploader;
  readonly #metrics: Metrics;
  readonly #tokens: StartTokens;
  readonly #directory: AccountDirectory;
  readonly #app: FastifyInstance;
  #config: Config;
  #keyring: Keyring;
  #recorderPort: MessagePort | null = null;
  /** Null before `begin`. */
  #looking: NodeJS.Timeout | null = null;
  /** Set while some store could not be read. */
  #readingAgain: NodeJS.Timeout | null = null;
  #threads: ThreadStates = { media: 'ready', recorder: 'starting', control: 'ready' };

  private constructor(
    data: ControlData,
    config: Config,
    faults: UploadFaults,
    log: Logger,
    post: (message: FromControl) => void,
  ) {
    this.#data = data;
    this.#post = post;
    this.#log = log;
    this.#config = config;
    this.#spoolDir = config.spool.dir;
    this.#keyring = new Keyring(config);
    this.#tokens = new StartTokens(data.tokenKey);
    const clock = clockOf(faults.clockSpeed);
    this.#directory = new AccountDirectory({ config: () => this.#config, clock, log });
    this.#stores = new Stores(config, { find: (accountId) => this.#directory.find(accountId), clock });
    this.#library = new Library(new MemoryCatalogue(), this.#spoolDir, this.#stores);
    this.#metrics = this.#makeMetrics(data);
    this.#alerts = new Alerts(log, ({ code }) => this.#metrics.alerts.inc({ alert: code }));
    this.#failed = new FailedRecordings((manifest) => this.#tellFailed(manifest));
    this.#spool = this.#makeSpoolWatch();
    this.#watch = new UploadWatch({
      metrics: this.#metrics,
      alerts: this.#alerts,
      spool: this.#spool,
      library: this.#library,
      killPoint: faults.killPoint,
      log,
    });
    this.#uploader = new Uploader({
      spoolDir: this.#spoolDir,
      storeOf: (accountId) => this.#stores.of(accountId),
      portalOf: (accountId) => this.#portalOf(accountId),
      clock,
      observer: this.#watch,
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
    let faults: UploadFaults;
    try {
      faults = uploadFaults(process.env);
      // A restart of the thread is not a reload: the successor takes what is in force.
      config = data.config ?? loadConfig(data.flags);
    } catch (error) {
      post({ type: 'configError', message: (error as Error).message });
      return undefined;
    }
    post({ type: 'config', config });
    return new Control(data, config, faults, log(config), post);
  }

  /** Whatever main says. */
  receive(message: ToControl): void {
    switch (message.type) {
      case 'begin':
        void this.#begin();
        return;
      case 'reload':
        return this.#reload();
      case 'http':
        void this.#answerMedia(message.id, message.request);
        return;
      case 'lookup':
        void this.#lookUp(message.id, message.accountId);
        return;
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
        void this.#stop(message.patienceMs);
        return;
      case 'alone':
      case 'drain':
        // Nothing is shared with another daemon yet.
        return;
    }
  }

  /** Takes up the spool, listens, posts `ready`, and goes on uploading. The spool's lock is main's and held by now. */
  async #begin(): Promise<void> {
    if (this.#looking !== null) return;
    this.#looking = setInterval(() => void this.#look(), lookMs);
    // Before anybody can ask: a recording that was known to the predecessor is known from the first request on.
    await this.#library.scanSpool((folder, manifest) => {
      this.#spool.found(folder, manifest);
      this.#failed.found(manifest);
    });
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
    void this.#spool.start();
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

  async #answerMedia(id: number, request: PlainRequest): Promise<void> {
    const response = await answerMediaHttp(request, {
      config: this.#config,
      tokens: this.#tokens,
      threads: this.#threads,
      findAccount: (accountId) => this.#directory.find(accountId, true),
      log: this.#log,
    });
    this.#post({ type: 'httpAnswer', id, response });
  }

  async #lookUp(id: number, accountId: string): Promise<void> {
    const unavailable = (): 'unavailable' => 'unavailable';
    const account = (await this.#directory.find(accountId).catch(unavailable)) ?? null;
    this.#post({ type: 'account', id, account });
  }

  #listenTo(port: MessagePort): void {
    this.#recorderPort?.close();
    this.#recorderPort = port;
    port.on('message', (event: SpoolEvent) => void this.#announced(event));
  }

  async #announced(event: SpoolEvent): Promise<void> {
    this.#spool.take(event);
    await this.#library.take(event);
    if (event.type === 'ended') this.#failed.ended(event.manifest);
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
    this.#stores.reload(this.#config);
    this.#keyring = new Keyring(this.#config);
    this.#directory.refresh();
    this.#post({ type: 'config', config: this.#config });
    this.#log.info({ accounts: this.#config.accounts.length }, 'the configuration was reloaded');
    this.#watch.reloading(() => this.#uploader.unpark());
    if (this.#looking !== null) this.#readStores();
    void this.#look();
  }

  #readStores(): void {
    void this.#library.scanStores(this.#config.accounts, {
      failed: (store, error) => {
        this.#log.error(
          { err: error, store: store.name },
          'a store cannot be listed; its recordings are not shown',
        );
        this.#readAgain();
      },
      cut: (store) =>
        this.#log.warn({ store: store.name }, 'a store holds so much that not everything in it is shown'),
    });
  }

  #readAgain(): void {
    this.#readingAgain ??= setTimeout(() => {
      this.#readingAgain = null;
      if (this.#looking !== null) this.#readStores();
    }, readAgainMs).unref();
  }

  /** What lies in the spool is the truth; announcements only save the time until the next look. */
  async #look(): Promise<void> {
    if (this.#looking !== null) await this.#uploader.wakeAll();
  }

  /** A recording of which no audio is kept. */
  #tellFailed({ recordingId, accountId, claimedAccountId, callId, reason }: Manifest): void {
    this.#metrics.recordingsFailed.inc({ reason: reason ?? 'unknown' });
    const about = { code: reason, recordingId, accountId, claimedAccountId, callId };
    this.#log.error(about, 'a recording failed; no audio of it is kept');
  }

  async #stop(patienceMs: number): Promise<void> {
    if (this.#readingAgain !== null) clearTimeout(this.#readingAgain);
    const unstored = this.#looking === null ? 0 : await this.#finish(this.#looking, patienceMs);
    await this.#app.close();
    this.#stores.close();
    this.#recorderPort?.close();
    this.#post({ type: 'stopped', unstored });
  }

  /** @returns recordings that stay in the spool until the next start */
  async #finish(looking: NodeJS.Timeout, patienceMs: number): Promise<number> {
    clearInterval(looking);
    await this.#spool.stop();
    await this.#uploader.wakeAll();
    const late = new AbortController();
    const patience = sleep(patienceMs, undefined, { signal: late.signal }).catch(() => undefined);
    await Promise.race([this.#uploader.settled(), patience]);
    await Promise.race([this.#uploader.stop(), patience]);
    late.abort();
    return await this.#uploader.unstored();
  }

  /** What jambonz's portal expects of an account's recordings on `/record`. */
  async #portalOf(accountId: string): Promise<{ format: RecordFormat; timeZone: string }> {
    const account = await this.#directory.find(accountId);
    return {
      format: account?.jambonz.recordFormat ?? 'mp3',
      timeZone: this.#config.recordEndpoint.timeZone,
    };
  }

  #makeMetrics(data: ControlData): Metrics {
    return new Metrics({
      counters: new Counters(data.counters),
      threads: () => this.#threads,
      spool: () => this.#spool,
      parkedAccounts: () => this.#watch.parkedAccounts,
      oldestUnstoredMs: () => this.#uploader.oldestUnstoredMs,
    });
  }

  #makeSpoolWatch(): SpoolWatch {
    return new SpoolWatch({
      spoolDir: this.#spoolDir,
      config: () => this.#config,
      calls: this.#calls,
      alerts: this.#alerts,
      relieve: () => this.#uploader.relieve(),
      changed: (full) => this.#post({ type: 'spool', full }),
      log: this.#log,
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
