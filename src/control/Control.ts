import { once } from 'node:events';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Config } from '../config/Config.js';
import type { WorkerName } from '../config/readiness.js';
import { isLoopback } from '../config/isFromHere.js';
import { StartTokens } from '../providers/twilio/startToken.js';
import { daemonsFolder } from '../spool/layout.js';
import { signatureOf } from '../spool/ManifestSignature.js';
import { clockOf, wallClockOf } from '../storage/Clock.js';
import { SpoolReserve } from '../storage/SpoolReserve.js';
import { Stores } from '../storage/Stores.js';
import { Counters } from '../tap/Counters.js';
import type { RoomOutcome, RoomRequest } from '../tap/RoomRequest.js';
import type { ControlData, FaultKind, FromControl, PlainRequest, ToControl } from './ControlMessage.js';
import { AccountDirectory } from './AccountDirectory.js';
import { Archive } from './library/Archive.js';
import { CallLog, callLogBytes } from './monitoring/CallLog.js';
import { ConfigInForce } from './ConfigInForce.js';
import { ControlPort } from './ControlPort.js';
import type { EventWatch } from './events/EventWatch.js';
import { Notices } from './events/Notices.js';
import { commitFault } from './Fault.js';
import { httpApi } from './api/HttpApi.js';
import { LiveCalls } from './library/LiveCalls.js';
import { answerMediaHttp } from './MediaHttp.js';
import { Monitoring } from './monitoring/Monitoring.js';
import { RecorderLink } from './RecorderLink.js';
import { MainQuestions } from './MainQuestions.js';
import { RecordingRequests } from './RecordingRequests.js';
import { RoomWatch } from './rooms/RoomWatch.js';
import { SpoolOwnership } from './uploads/SpoolOwnership.js';
import { uploadFaults, type UploadFaults } from './uploadFaults.js';
import { Uploads } from './uploads/Uploads.js';
import type { Webhooks } from './events/Webhooks.js';

/** How often the spool is looked through without being told to, in case an announcement was lost, ms. */
const lookMs = 30_000;

/**
 * The control thread's work: configuration, HTTP, catalogue and uploads. It keeps nothing that isn't in spool, stores and
 * configuration, so that a successor starts where it was.
 */
export class Control {
  readonly #data: ControlData;
  readonly #settings: ConfigInForce;
  readonly #post: (message: FromControl) => void;
  readonly #log: Logger;
  /** Where it was at the start; a reload moves neither it nor the catalogue. */
  readonly #spoolDir: string;
  readonly #monitoring: Monitoring;
  readonly #calls = new LiveCalls();
  readonly #requests = new RecordingRequests((id, request) => this.#post({ type: 'record', id, request }));
  readonly #roomQuestions = new MainQuestions<RoomRequest, RoomOutcome>((id, request) =>
    this.#post({ type: 'room', id, request }),
  );
  readonly #rooms: RoomWatch;
  readonly #stores: Stores;
  readonly #ownership: SpoolOwnership;
  readonly #archive: Archive;
  readonly #webhooks: Webhooks;
  readonly #events: EventWatch;
  readonly #uploads: Uploads;
  readonly #recorder: RecorderLink;
  readonly #tokens: StartTokens;
  readonly #directory: AccountDirectory;
  readonly #port: ControlPort;
  /** Null before `begin`. */
  #looking: NodeJS.Timeout | null = null;
  /** One after the other. */
  #reloading: Promise<void> = Promise.resolve();
  readonly #late = new AbortController();
  #isStopping = false;

  private constructor(
    data: ControlData,
    settings: ConfigInForce,
    faults: UploadFaults,
    callLog: CallLog,
    log: Logger,
    post: (message: FromControl) => void,
  ) {
    this.#data = data;
    this.#post = post;
    this.#log = log;
    this.#settings = settings;
    this.#spoolDir = settings.config.spool.dir;
    this.#tokens = new StartTokens(data.tokenKey);
    const clock = clockOf(faults.clockSpeed);
    this.#directory = new AccountDirectory({ config: () => this.#config, clock, log });
    this.#stores = new Stores(settings.config, {
      find: (accountId) => this.#directory.find(accountId),
      clock,
    });
    this.#ownership = new SpoolOwnership(data.alone, data.own);
    this.#monitoring = this.#makeMonitoring(callLog);
    const { alerts, metrics, traces } = this.#monitoring;
    const reserve = new SpoolReserve(join(this.#spoolDir, daemonsFolder));
    this.#archive = new Archive({
      config: () => this.#config,
      stores: this.#stores,
      findAccount: (accountId) => this.#directory.find(accountId),
      reserve,
      alerts,
      found: (folder, manifest) => this.#recorder.found(folder, manifest),
      log,
    });
    ({ webhooks: this.#webhooks, watch: this.#events } = new Notices({
      config: () => this.#config,
      spoolDir: this.#spoolDir,
      archive: this.#archive,
      find: async (accountId) => await this.#directory.find(accountId),
      metrics,
      clock,
      nowMs: wallClockOf(faults.clockSpeed),
      log,
    }));
    this.#uploads = new Uploads({
      config: () => this.#config,
      directory: this.#directory,
      stores: this.#stores,
      reserve,
      ownership: this.#ownership,
      library: this.#archive.library,
      calls: this.#calls,
      events: this.#events,
      metrics,
      traces,
      alerts,
      sign: (manifest) => this.#sign(manifest),
      full: (full) => post({ type: 'spool', full }),
      clock,
      killPoint: faults.killPoint,
      log,
    });
    this.#recorder = new RecorderLink({
      ownership: this.#ownership,
      archive: this.#archive,
      uploads: this.#uploads,
      events: this.#events,
      monitoring: this.#monitoring,
    });
    this.#rooms = new RoomWatch({
      config: () => this.#config,
      calls: this.#calls,
      record: async (request) => await this.#roomQuestions.ask(request),
      alerts,
      log,
    });
    this.#port = this.#makePort();
    this.#recorder.listenTo(data.recorderPort);
  }

  /**
   * Reads the configuration and posts it; nothing else happens until `begin`.
   *
   * @returns undefined after a `configError`
   */
  static async configure(
    data: ControlData,
    log: (config: Config, aside: (line: string) => void) => Logger,
    post: (message: FromControl) => void,
  ): Promise<Control | undefined> {
    let settings: ConfigInForce;
    let faults: UploadFaults;
    try {
      faults = uploadFaults(process.env);
      // A restart of the thread is not a reload: the successor takes what is in force.
      settings = await ConfigInForce.read(data.flags, data.config, data.linkKey);
    } catch (error) {
      post({ type: 'configError', message: (error as Error).message });
      return undefined;
    }
    post({ type: 'config', config: settings.config });
    const { dir, maxBytes } = settings.config.spool;
    const callLog = new CallLog({
      dir: join(dir, daemonsFolder),
      mostBytes: callLogBytes(maxBytes),
      counters: new Counters(data.counters),
    });
    const logger = log(settings.config, (line) => callLog.take([line]));
    return new Control(data, settings, faults, callLog, logger, post);
  }

  get #config(): Config {
    return this.#settings.config;
  }

  /** Whatever main says. */
  receive(message: ToControl): void {
    switch (message.type) {
      case 'begin':
        void this.#begin(message.listens);
        return;
      case 'listen':
        void this.#open();
        return;
      case 'alone':
        void this.#takeUp();
        return;
      case 'handOver':
        void this.#handOver();
        return;
      case 'reload':
        this.#reloading = this.#reloading.then(() => this.#reload());
        return;
      case 'http':
        void this.#answerMedia(message.id, message.request);
        return;
      case 'lookup':
        void this.#lookUp(message.id, message.accountId);
        return;
      case 'recorded':
        return this.#requests.answered(message.id, message.outcome);
      case 'roomed':
        return this.#roomQuestions.answered(message.id, message.outcome);
      case 'calls':
        return this.#calls.take(message);
      case 'threads':
        return this.#monitoring.threadsChanged(message.states, message.inTrouble ?? []);
      case 'recorder':
        this.#recorder.listenTo(message.port);
        void this.#look();
        return;
      case 'lines':
        return this.#monitoring.callLog.take(message.lines);
      case 'stop':
        this.#stop(message.patienceMs);
        return;
    }
  }

  /** Takes up the spool, listens if it may, and goes on uploading. The spool's lock is main's and held by now. */
  async #begin(listens: boolean): Promise<void> {
    if (this.#looking !== null) return;
    this.#looking = setInterval(() => void this.#look(), lookMs);
    this.#monitoring.start();
    await this.#archive.begin(listens);
    this.#post({ type: 'begun' });
    if (this.#ownership.isAlone) await this.#webhooks.takeUp();
    this.#uploads.start();
    this.#webhooks.start();
    this.#events.start();
    this.#rooms.start();
    if (listens) await this.#open();
    await this.#look();
  }

  /** Listens, and posts `ready`. */
  async #open(): Promise<void> {
    this.#archive.open();
    const port = await this.#listen();
    if (port === null) return;
    this.#post({ type: 'ready', port });
    this.#log.info(
      { host: this.#config.control.host, port, kernels: this.#data.kernels },
      'control port is open',
    );
    if (
      this.#settings.keyring.isEmpty &&
      !isLoopback(this.#config.control.host) &&
      this.#config.control.host !== 'localhost'
    )
      this.#log.warn('there are no keys: the control port answers this machine only; set control.adminKeys');
  }

  /** Whatever other daemons have left in the spool is this one's. */
  async #takeUp(): Promise<void> {
    await this.#archive.takeUp();
    await this.#webhooks.takeUp();
    await this.#look();
    this.#log.info('the spool is this daemon’s own');
  }

  /** Another daemon needs the port, and what else only one can have. */
  async #handOver(): Promise<void> {
    await this.#port.handOver();
    await this.#archive.handOver();
    this.#post({ type: 'handedOver', own: this.#ownership.known });
  }

  /** Null: it isn't this daemon's, or main was told what is wrong. */
  async #listen(): Promise<number | null> {
    const { control } = this.#config;
    const port = this.#data.listenPort ?? control.port;
    // At the start it is somebody's mistake.
    const isPatient = this.#data.config !== null || this.#data.listens === false;
    try {
      return await this.#port.open(control, port, isPatient);
    } catch (error) {
      const reason = (error as Error).message;
      const message = `control.host and control.port: cannot listen on ${control.host}:${control.port} (${reason}).`;
      this.#post({ type: 'configError', message: `${message} Choose others, or end what listens there.` });
      return null;
    }
  }

  async #answerMedia(id: number, request: PlainRequest): Promise<void> {
    const response = await answerMediaHttp(request, {
      config: this.#config,
      tokens: this.#tokens,
      threads: this.#monitoring.threads,
      findAccount: (accountId) => this.#directory.find(accountId, true),
      rooms: this.#rooms,
      log: this.#log,
    });
    this.#post({ type: 'httpAnswer', id, response });
  }

  async #lookUp(id: number, accountId: string): Promise<void> {
    const unavailable = (): 'unavailable' => 'unavailable';
    const account = (await this.#directory.find(accountId).catch(unavailable)) ?? null;
    this.#post({ type: 'account', id, account });
  }

  async #reload(): Promise<void> {
    try {
      await this.#settings.reload();
    } catch (error) {
      this.#log.error({ err: error }, 'the configuration was not reloaded; the one in force stays');
      this.#post({ type: 'configError', message: (error as Error).message });
      return;
    }
    this.#stores.reload(this.#config);
    this.#directory.refresh();
    this.#post({ type: 'config', config: this.#config });
    this.#log.info({ accounts: this.#config.accounts.length }, 'the configuration was reloaded');
    this.#uploads.reload();
    void this.#rooms.look();
    if (this.#looking !== null) this.#archive.readStores();
    void this.#look();
  }

  /** What lies in the spool is the truth; announcements only save the time until the next look. */
  async #look(): Promise<void> {
    if (this.#looking === null) return;
    await this.#uploads.look();
    await this.#archive.look();
  }

  /** Asked again, it has that much patience from then on, if that is less. */
  #stop(patienceMs: number): void {
    const given = setTimeout(() => this.#late.abort(), patienceMs);
    this.#late.signal.addEventListener('abort', () => clearTimeout(given));
    if (!this.#isStopping) void this.#end();
    this.#isStopping = true;
  }

  async #end(): Promise<void> {
    this.#archive.end();
    this.#rooms.stop();
    const unstored = this.#looking === null ? 0 : await this.#finish(this.#looking);
    await this.#port.close();
    this.#stores.close();
    this.#recorder.close();
    this.#post({ type: 'stopped', unstored });
  }

  /** @returns recordings that stay in the spool until the next start */
  async #finish(looking: NodeJS.Timeout): Promise<number> {
    clearInterval(looking);
    this.#monitoring.stop();
    this.#events.stop();
    const { signal } = this.#late;
    const unstored = await this.#uploads.stop(signal);
    const patience = signal.aborted ? Promise.resolve() : once(signal, 'abort');
    await Promise.race([this.#webhooks.stop(), patience]);
    await Promise.race([this.#archive.close(), patience]);
    await Promise.race([this.#monitoring.flush(), patience]);
    this.#late.abort();
    return unstored;
  }

  #makeMonitoring(callLog: CallLog): Monitoring {
    return new Monitoring({
      counters: this.#data.counters,
      callLog,
      tracing: this.#config.tracing,
      asked: {
        spool: () => this.#uploads.spool,
        catalogue: () => this.#archive.catalogue,
        stuck: () => this.#uploads.stuck,
        parkedAccounts: () => this.#uploads.parkedAccounts,
        oldestUnstoredMs: () => this.#uploads.oldestUnstoredMs,
      },
      log: this.#log,
    });
  }

  #makePort(): ControlPort {
    const { metrics, report, callLog, traces } = this.#monitoring;
    const app = httpApi({
      library: this.#archive.library,
      calls: this.#calls,
      metrics,
      system: report,
      keyring: () => this.#settings.keyring,
      threads: () => this.#monitoring.threads,
      requests: this.#requests,
      rooms: {
        watch: this.#rooms,
        accounts: () => this.#config.accounts,
        findAccount: async (accountId) => await this.#directory.find(accountId),
      },
      removal: this.#archive.removal,
      audit: this.#archive.audit,
      outbox: this.#archive.catalogue.outbox,
      callLog,
      traces,
      webhooks: this.#webhooks,
      linkKey: () => this.#settings.linkKey,
      sessionKey: () => this.#settings.linkKey,
      bytesPerSecond: () => this.#config.limits.downloadBytesPerSecond,
      fault: process.env['REELAY_FAULTS'] === '1' ? (thread, fault) => this.#fault(thread, fault) : null,
      log: this.#log,
    });
    return new ControlPort(app, this.#log);
  }

  #sign(manifest: string): Buffer | null {
    const { signingKey } = this.#settings;
    return signingKey === null ? null : signatureOf(manifest, signingKey);
  }

  #fault(thread: WorkerName, fault: FaultKind): void {
    this.#log.warn({ worker: thread, fault }, 'breaking a thread, as asked');
    if (thread === 'control') commitFault(fault);
    else this.#post({ type: 'fault', thread, fault });
  }
}
