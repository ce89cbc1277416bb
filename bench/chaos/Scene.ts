import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { RecordingFolder } from '../../src/spool/RecordingFolder.js';
import { recordingsById } from '../../src/spool/RecordingFolder.js';
import { DaemonProcess, type DaemonOptions } from '../../test/acceptance/DaemonProcess.js';
import { FaultyDisk } from '../../test/acceptance/disk/FaultyDisk.js';
import { eventually } from '../../test/acceptance/eventually.js';
import type { SettingName } from './Fault.js';
import { LongRecording } from './LongRecording.js';
import { LogPipe } from './LogPipe.js';
import { Party } from './Party.js';
import { SmallDisk } from './SmallDisk.js';
import { StoreHouse } from './StoreHouse.js';

export interface SceneOptions {
  readonly dir: string;
  readonly setting: SettingName;
  readonly party: Party;
  /** That are measured; others may come beside them. */
  readonly calls: number;
  /** Length of the finished recording that can be downloaded, s. */
  readonly storedSeconds: number;
  readonly chunkSeconds: number;
}

/**
 * The measured calls are half of what the machine holds. Whoever runs a relay limits calls so that a reserve remains: seven tenths of
 * it, which is this share of the measured ones, and at least so many, are let in beside them; what is beyond is refused.
 */
const roomShare = 0.4;
const leastRoom = 16;
/** Half a second of both parties, where the ring is meant to fill. */
const ringBytesPerCall = 10_240;
/** Named like this, so that the faults find it. */
export const recorded = 'recorded';
export const unrecorded = 'unrecorded';
/** Its bots are in a process of their own, see {@link Scene.crowd}. */
export const crowded = 'crowded';
/** Callers that arrive come from other machines: what it costs to be them must not be taken from the calls that are measured. */
const crowdNiceness = 5;

/** A daemon with what its setting takes around it. */
export class Scene {
  readonly options: SceneOptions;
  readonly daemon: DaemonProcess;
  readonly disk: FaultyDisk | null;
  readonly smallDisk: SmallDisk | null;
  readonly store: StoreHouse | null;
  readonly logPipe: LogPipe | null;
  readonly stored: LongRecording | null;
  /** A second party, of calls that aren't measured, in a plain setting. */
  readonly crowd: Party | null;
  readonly accounts: DaemonOptions['accounts'];

  private constructor(
    options: SceneOptions,
    daemon: DaemonProcess,
    accounts: DaemonOptions['accounts'],
    parts: Pick<Scene, 'disk' | 'smallDisk' | 'store' | 'logPipe' | 'stored' | 'crowd'>,
  ) {
    this.options = options;
    this.daemon = daemon;
    this.accounts = accounts;
    this.disk = parts.disk;
    this.smallDisk = parts.smallDisk;
    this.store = parts.store;
    this.logPipe = parts.logPipe;
    this.stored = parts.stored;
    this.crowd = parts.crowd;
  }

  static async open(options: SceneOptions): Promise<Scene> {
    const { dir, setting, party, calls, chunkSeconds } = options;
    const daemonDir = join(dir, 'daemon');
    mkdirSync(daemonDir, { recursive: true });
    const spool = join(daemonDir, 'spool');
    const isSmall = setting.startsWith('small disk');
    const parts = {
      disk: setting === 'faulty disk' ? await FaultyDisk.over(join(dir, 'disk'), spool) : null,
      smallDisk: isSmall ? SmallDisk.mount(join(dir, 'small'), calls) : null,
      store: setting === 'store' ? await StoreHouse.open() : null,
      logPipe: setting === 'log' ? LogPipe.make(dir) : null,
      stored:
        setting === 'plain'
          ? await LongRecording.lay(join(daemonDir, 'recordings'), options.storedSeconds)
          : null,
      crowd: setting === 'plain' ? await Party.start(crowdNiceness) : null,
    };
    if (parts.smallDisk !== null) symlinkSync(parts.smallDisk.dir, spool);
    const common = { upstream: party.upstream, resumeSeconds: 0 };
    const crowdsBots = parts.crowd?.upstream ?? party.upstream;
    const store = parts.store === null ? {} : { store: parts.store.entry };
    const accounts = [
      { id: recorded, ...common, ...store },
      { id: unrecorded, ...common, record: 'never' as const },
      { id: crowded, ...common, upstream: crowdsBots },
    ];
    const daemon = await DaemonProcess.start({
      dir: daemonDir,
      accounts,
      chunkSeconds,
      env: {
        REELAY_FAULTS: '1',
        // The uploader's pauses, which reach a minute, fit a window of some seconds.
        ...(parts.store === null ? {} : { REELAY_CLOCK_SPEED: '10' }),
        ...parts.disk?.env,
      },
      ...(parts.logPipe === null ? {} : { output: parts.logPipe }),
      config: {
        limits: {
          calls: calls + Math.max(Math.round(calls * roomShare), leastRoom),
          providerBufferBytes: '1MiB',
          stalledMs: 2000,
          ...(setting === 'small disk and ring'
            ? { ringBytes: Math.max(65_536, calls * ringBytesPerCall) }
            : {}),
        },
        // The budget would act before the disk is full, and it is the full disk that is meant.
        ...(isSmall ? { spool: { minFreeBytes: 0 } } : {}),
        ...(setting === 'log' ? { log: { level: 'debug' } } : {}),
      },
    });
    return new Scene(options, daemon, accounts, parts);
  }

  get party(): Party {
    return this.options.party;
  }

  get media(): string {
    return this.daemon.media('/twilio');
  }

  /** All threads work, and their states are known. */
  async allReady(): Promise<void> {
    await eventually('all threads are ready', async () => {
      const answer = await this.daemon.get('/readyz').catch(() => null);
      const body = ((await answer?.json().catch(() => null)) ?? {}) as { threads?: Record<string, string> };
      return body.threads?.['control'] === 'ready' && body.threads['recorder'] === 'ready';
    });
  }

  /** The only recording of a call, whole in its store. */
  async recordingOf(callSid: string): Promise<RecordingFolder> {
    if (this.store === null) return await this.daemon.stored(callSid);
    await this.store.fetch();
    const found = await recordingsById(callSid, [this.store.downloads]);
    const [folder] = found;
    if (folder === undefined || found.length > 1) throw new Error(`${found.length} recordings in the bucket`);
    return folder;
  }

  /** Nothing waits for its store. */
  async allStored(): Promise<void> {
    await eventually('the spool is empty', async () => (await this.daemon.spooled()).length === 0, {
      attempts: 1200,
      everyMs: 100,
    });
  }

  async close(): Promise<void> {
    await this.daemon.kill();
    this.crowd?.close();
    this.disk?.close();
    await this.store?.close();
    this.logPipe?.close();
    this.smallDisk?.unmount();
    rmSync(this.options.dir, { recursive: true, force: true });
  }
}
