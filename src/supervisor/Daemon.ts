import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { BridgePool } from '../bridge/BridgePool.js';
import { implementation } from '../audio/kernels.js';
import { CallLines } from '../config/CallLines.js';
import type { Config } from '../config/Config.js';
import type { WorkerName } from '../config/readiness.js';
import { errorCodes } from '../config/ReelayError.js';
import { realtimeObstacles } from '../config/realtime.js';
import { lastLines, threadLog } from '../config/threadLog.js';
import type { FaultKind, ServeFlags, ThreadStates } from '../control/ControlMessage.js';
import { MediaServer } from '../relay/MediaServer.js';
import { DaemonFolder } from '../spool/DaemonFolder.js';
import { daemonsFolder, declinedRoomsName } from '../spool/layout.js';
import type { HandOver, LockOwner } from '../spool/SpoolLock.js';
import { LiveLoop } from '../relay/LiveLoop.js';
import { Counters } from '../tap/Counters.js';
import { createRing } from '../tap/Ring.js';
import { RingTap } from '../tap/RingTap.js';
import { SharedSequence } from '../tap/Sequence.js';
import { needsRestart } from './ControlLink.js';
import { Drain } from './Drain.js';
import { insistOnPorts } from './insistOnPorts.js';
import { NotedTap } from './NotedTap.js';
import { Succession } from './Succession.js';
import { SupervisedControl } from './SupervisedControl.js';
import { SupervisedRooms } from './SupervisedRooms.js';
import { SupervisedRecorder } from './SupervisedRecorder.js';

const notRecorded = { code: 'recording_not_live', value: 'the daemon is starting' } as const;

/** How long the end waits for uploads at least, ms, and how long when somebody is in a hurry. */
const uploadPatienceMs = 5000;
const hurriedPatienceMs = 1000;

/**
 * The whole daemon: this thread moves media and supervises; the recorder and the control thread hang on it by shared memory
 * and message ports and may end at any time without it noticing more than a log line.
 *
 *     start: control thread → configuration → lock on the spool → recorder thread → media port → control port
 *     stop:  calls end by themselves, or are cut → recorder (seals) → control (stores) → lock
 *
 * Beside daemons that end on the same spool, the ports are asked for when everything else is ready.
 */
export class Daemon {
  /** Settles when the daemon has stopped, in whatever way that was asked for: recordings that are not in their store yet. */
  readonly stopped: Promise<number>;
  readonly #flags: ServeFlags;
  readonly #counters = new Counters();
  readonly #tokenKey = randomBytes(32);
  readonly #control: SupervisedControl;
  readonly #lines = new CallLines(
    (lines) => this.#control.post({ type: 'lines', lines }),
    (dropped) => this.#counters.add('mediaLinesDropped', dropped),
  );
  readonly #log = threadLog('media', 'info', (line) => this.#lines.take(line));
  readonly #drain: Drain;
  #config: Config | null = null;
  #folder: DaemonFolder | null = null;
  #recorder: SupervisedRecorder | null = null;
  #rooms: SupervisedRooms | null = null;
  #media: MediaServer | null = null;
  /** Null: there is none, and this thread moves all frames. */
  #loop: LiveLoop | null = null;
  #isRealtime = false;
  #bridges: BridgePool | null = null;
  #succession: Succession | null = null;
  #mediaPort = 0;
  #states: ThreadStates = { media: 'ready', recorder: 'starting', control: 'starting' };
  /** As control said last. */
  #isSpoolFull = false;
  /** Threads that are lost again and again, or don't come back. */
  readonly #inTrouble = new Set<WorkerName>();
  #canExit = true;
  #handOver: HandOver | null = null;
  #stopped: { resolve: (unstored: number) => void; reject: (error: unknown) => void } | null = null;

  constructor(flags: ServeFlags) {
    this.#flags = flags;
    this.stopped = new Promise((resolve, reject) => (this.#stopped = { resolve, reject }));
    this.#drain = new Drain({
      ended: async () => await this.#media?.drain(),
      calls: () => this.#media?.calls().length ?? 0,
      seconds: () => this.#config?.media.drainSeconds ?? 0,
      log: this.#log,
    });
    this.#control = new SupervisedControl({
      flags,
      counters: this.#counters.buffer,
      tokenKey: this.#tokenKey,
      linkKey: randomBytes(32),
      config: () => this.#config,
      recorderPort: () => this.#portToRecorder(),
      events: {
        configured: (config) => this.#configure(config),
        ready: () => this.#controlReady(),
        lost: () => this.#controlLost(),
        stuck: () => this.#setStates({ control: 'stuck' }),
        trouble: (isInTrouble) => this.#noteTrouble('control', isInTrouble),
        spoolFull: (isFull) => this.#spoolFull(isFull),
        record: async (request) => await (this.#media?.record(request) ?? notRecorded),
        room: (request) => this.#media?.rooms.record(request) ?? notRecorded,
        fault: ({ thread, fault }) => this.#break(thread, fault),
      },
      log: this.#log,
    });
  }

  /**
   * @returns the ports that are being listened on
   * @throws Error with the configuration's faults; ReelayError `spool_locked`, `spool_unwritable`; the system's errors for ports
   */
  async start(): Promise<{ mediaPort: number; controlPort: number }> {
    try {
      const config = await this.#control.start();
      const folder = (this.#folder = await DaemonFolder.claim(config.spool.dir, this.#flags));
      const succession = (this.#succession = this.#createSuccession(folder));
      if (!succession.isAlone) await insistOnPorts(config, await succession.ports());
      const tap = await this.#startRecorder(config, folder.path);
      this.#bridges = new BridgePool({ config, counters: this.#counters, log: this.#log });
      // A call that is for a room shouldn't have to wait for the SDK to be loaded.
      this.#bridges.configure(config);
      const media = (this.#media = this.#createMedia(config, tap));
      this.#rooms?.configured();
      const controlPort = await (succession.isAlone
        ? this.#openAlone(media)
        : this.#openBeside(media, succession));
      folder.owner = this.#owner(controlPort);
      succession.watch();
      const others = folder.neighbours.length;
      this.#log.info(
        {
          mediaPort: this.#mediaPort,
          controlPort,
          kernels: implementation,
          fastPath: this.#loop !== null,
          realtime: this.#isRealtime,
          others,
        },
        'reelay is ready',
      );
      return { mediaPort: this.#mediaPort, controlPort };
    } catch (error) {
      await this.#media?.close();
      await this.#bridges?.stop();
      await this.#rooms?.stop();
      await this.#loop?.stop();
      await this.#recorder?.stop();
      await this.#control.stop();
      await this.#folder?.release();
      throw error;
    }
  }

  /** Whether every thread has ended, after {@link stopped}. Node's `exit` waits for each, and so for ever for one that can't. */
  get canExit(): boolean {
    return this.#canExit;
  }

  /** Asks control to read the configuration again; running calls keep what they have. */
  reload(): void {
    if (this.#control.post({ type: 'reload' })) return;
    this.#log.error('the configuration was not reloaded: its thread is being started again; ask once more');
  }

  /** Something that nobody caught: the calls go on, and it is told loudly. */
  uncaught(error: unknown): void {
    this.#log.error({ err: error }, 'uncaught exception');
  }

  /** Takes no more calls, lets those end that are up, seals and stores. */
  stop(): void {
    if (this.#drain.hasBegun) return;
    this.#states = { ...this.#states, media: 'draining' };
    this.#end().then(
      (unstored) => this.#stopped?.resolve(unstored),
      (error: unknown) => this.#stopped?.reject(error),
    );
    this.#setStates({});
  }

  /** The same, without waiting for calls, and with little patience for stores. */
  hurry(): void {
    this.stop();
    if (this.#drain.isHurried) return;
    this.#log.warn('ending at once, as asked');
    this.#drain.hurry();
    this.#control.hurry(hurriedPatienceMs);
  }

  async #end(): Promise<number> {
    await this.#drain.run();
    this.#succession?.stop();
    await this.#media?.close();
    await this.#bridges?.stop();
    await this.#loop?.stop();
    this.#canExit = (await this.#rooms?.stop()) ?? true;
    if (this.#recorder !== null) {
      const isSealed = await this.#recorder.seal();
      this.#canExit = (await this.#recorder.stop()) && this.#canExit;
      if (isSealed) this.#folder?.forget();
    }
    const patienceMs = this.#drain.isHurried
      ? hurriedPatienceMs
      : Math.max(uploadPatienceMs, this.#drain.leftMs);
    this.#lines.flush();
    const left = await this.#control.store(patienceMs);
    this.#canExit = (await this.#control.stop()) && this.#canExit;
    await this.#folder?.release();
    this.#log.info({ unstored: left }, 'reelay has stopped');
    await lastLines(this.#log);
    return left;
  }

  async #openAlone(media: MediaServer): Promise<number> {
    ({ port: this.#mediaPort } = await media.listen());
    return await this.#control.begin();
  }

  /** Whatever takes time comes before the ports are asked for: from then on until they are open nobody is there for new calls. */
  async #openBeside(media: MediaServer, succession: Succession): Promise<number> {
    await this.#control.beginBeside();
    const free = await succession.takePorts();
    ({ port: this.#mediaPort } = await media.listen());
    await free.control;
    return await this.#control.listen();
  }

  #createSuccession(folder: DaemonFolder): Succession {
    return new Succession({
      folder,
      recover: async () => await this.#recorder?.recover(),
      alone: () => this.#control.alone(),
      log: this.#log,
    });
  }

  /** What a daemon is told that starts on this spool. */
  #owner(controlPort: number): LockOwner {
    const [drain, ports] = [this.#drain, [this.#mediaPort, controlPort]];
    return {
      get state() {
        return drain.hasBegun ? 'draining' : 'running';
      },
      ports,
      handOver: () => (this.#handOver ??= this.#makeWay()),
    };
  }

  #makeWay(): HandOver {
    this.#log.info('another daemon takes over: it gets the ports, and the calls that are up end here');
    this.stop();
    const media = this.#media?.calls() ?? [];
    const live = media.flatMap(({ recordingId }) => recordingId ?? []);
    // What others leave is from now on for the one that takes over, and so is whatever this daemon doesn't know.
    this.#succession?.stop();
    // First it is settled whose is what, then somebody else may begin recordings.
    const control = this.#control.handOver(live);
    this.#media?.giveUpPort();
    // Two recorders in one room would make two recordings of it, for as long as calls go on here.
    return { media: this.#media?.rooms.handOver() ?? Promise.resolve(), control };
  }

  async #startRecorder(config: Config, daemonDir: string): Promise<NotedTap> {
    const sequence = new SharedSequence();
    const ring = createRing(config.limits.ringBytes);
    const framesRing = createRing(config.limits.ringBytes);
    const roomsRing = createRing(config.limits.ringBytes);
    const rooms = (this.#rooms = this.#createRooms(config, roomsRing, sequence));
    const loop = (this.#loop = config.media.fastPath ? this.#startLoop(framesRing, sequence) : null);
    this.#isRealtime = config.media.realtime && loop?.comeFirst() === true;
    if (config.media.realtime && !this.#isRealtime) {
      const obstacle = realtimeObstacles[loop === null ? 'noThread' : 'refused'];
      this.#log.warn({ code: 'realtime_refused', ...obstacle }, errorCodes.realtime_refused);
    }
    const { dir: spoolDir, flushMs, syncMs } = config.spool;
    const { level: logLevel } = config.log;
    this.#recorder = new SupervisedRecorder({
      data: {
        rings: loop === null ? [ring, roomsRing] : [ring, framesRing, roomsRing],
        counters: this.#counters.buffer,
        spoolDir,
        daemonDir,
        flushMs,
        syncMs,
        logLevel,
      },
      controlPort: () => this.#portToControl(),
      onReady: () => this.#setStates({ recorder: 'ready' }),
      onLost: () => this.#recorderLost(),
      onStuck: () => this.#setStates({ recorder: 'stuck' }),
      onTrouble: (isInTrouble) => this.#noteTrouble('recorder', isInTrouble),
      onBlocked: (isBlocked) => this.#setStates({ recorder: isBlocked ? 'blocked' : 'ready' }),
      log: this.#log,
    });
    await this.#recorder.start();
    const isBehind = (): boolean => rooms.isBehind || (loop?.board.behind ?? 0) > 0;
    const tap = new RingTap(ring, this.#counters, { sequence, isBehind });
    return new NotedTap(tap, (recordingId) => this.#control.note(recordingId));
  }

  #createRooms(first: Config, ring: SharedArrayBuffer, sequence: SharedSequence): SupervisedRooms {
    return new SupervisedRooms({
      ring,
      sequence: sequence.cells.buffer as SharedArrayBuffer,
      counters: this.#counters.buffer,
      config: () => this.#config ?? first,
      onMessage: (message) => this.#media?.rooms.receive(message),
      onReady: () => this.#setStates({ rooms: 'ready' }),
      onLost: () => this.#roomsLost(),
      onStuck: () => this.#setStates({ rooms: 'stuck' }),
      onTrouble: (isInTrouble) => this.#noteTrouble('rooms', isInTrouble),
      log: this.#log,
    });
  }

  #startLoop(ring: SharedArrayBuffer, sequence: SharedSequence): LiveLoop | null {
    const failed = (error: unknown): void =>
      this.#log.error({ err: error, code: 'stream_failed' }, 'uncaught');
    return LiveLoop.start(ring, sequence, this.#counters, failed);
  }

  #createMedia(config: Config, tap: NotedTap): MediaServer {
    return new MediaServer({
      config,
      tap,
      counters: this.#counters,
      loop: this.#loop,
      ...(this.#bridges === null ? {} : { bridges: this.#bridges }),
      tokenKey: this.#tokenKey,
      log: this.#log,
      answer: (request) => this.#control.link.ask(request),
      findAccount: (accountId) => this.#control.link.findAccount(accountId),
      declinedRooms: join(config.spool.dir, daemonsFolder, declinedRoomsName),
      threads: () => ({ ...this.#states }),
      postToRooms: (message) => this.#rooms?.post(message),
      onCallsChanged: (notice) => this.#control.post({ type: 'calls', ...notice }),
      onOverloadChanged: (isRefusing) => this.#overloaded(isRefusing),
    });
  }

  /** @returns one end of a channel whose other end the recorder has; at the first start there is none, and it gets one when it comes */
  #portToRecorder(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#recorder?.post({ type: 'control', port: port1 }, [port1]);
    return port2;
  }

  #portToControl(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#control.post({ type: 'recorder', port: port2 }, [port2]);
    return port1;
  }

  #configure(config: Config): void {
    const before = this.#config;
    this.#config = config;
    this.#log.level = before?.log.level ?? config.log.level;
    if (before === null) return;
    const keys = needsRestart(before, config);
    if (keys.length > 0) this.#log.warn({ keys }, 'these settings take effect at the next start');
    this.#media?.reload(config);
    this.#bridges?.configure(config);
    this.#rooms?.configured();
    this.#log.info({ accounts: config.accounts.length }, 'the configuration is in force');
  }

  #spoolFull(isFull: boolean): void {
    if (isFull === this.#isSpoolFull) return;
    this.#isSpoolFull = isFull;
    this.#media?.setSpoolFull(isFull);
    if (isFull) this.#log.warn({ code: 'spool_full' }, 'calls that begin now are relayed and not recorded');
    else this.#log.info('calls that begin now are recorded again');
  }

  #recorderLost(): void {
    this.#counters.add('recorderRestarts');
    this.#setStates({ recorder: 'restarting' });
  }

  #roomsLost(): void {
    this.#counters.add('roomsThreadRestarts');
    this.#setStates({ rooms: 'restarting' });
    this.#media?.rooms.threadLost();
  }

  /** Whether the spool is full its successor says itself; until then it is as it was, since nothing has been stored meanwhile. */
  #controlLost(): void {
    this.#counters.add('controlRestarts');
    this.#setStates({ control: 'restarting' });
    // What the recorder announces to a thread that doesn't read would lie in memory until that one has ended.
    this.#portToRecorder().close();
  }

  /** A successor starts with an empty view of the calls. */
  #controlReady(): void {
    this.#setStates({ control: 'ready' });
    this.#media?.tellCalls();
  }

  /** As an admin has asked, where that is allowed. */
  #break(thread: 'recorder' | 'rooms', fault: FaultKind): void {
    if (process.env['REELAY_FAULTS'] !== '1') return;
    if (thread === 'recorder') this.#recorder?.post({ type: 'fault', fault });
    else this.#rooms?.post({ type: 'fault', fault });
  }

  #overloaded(isRefusing: boolean): void {
    if (this.#states.media !== 'draining') this.#setStates({ media: isRefusing ? 'overloaded' : 'ready' });
  }

  #noteTrouble(worker: WorkerName, isInTrouble: boolean): void {
    if (isInTrouble) this.#inTrouble.add(worker);
    else this.#inTrouble.delete(worker);
    this.#setStates({});
  }

  #setStates(change: Partial<ThreadStates>): void {
    this.#states = { ...this.#states, ...change };
    this.#control.post({ type: 'threads', states: this.#states, inTrouble: [...this.#inTrouble] });
  }
}
