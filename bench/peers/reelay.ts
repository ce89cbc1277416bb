import { variablesOf } from '../../src/config/environment.js';
import { mayRunInRealtime } from '../../src/config/realtime.js';
import { configSchema } from '../../src/config/schema.js';
import { DaemonProcess } from '../../test/acceptance/DaemonProcess.js';
import { eventually } from '../../test/acceptance/eventually.js';
import { pinProcess, pinThread } from './cores.js';
import type { Complaints, RunningSubject, Stage, Subject } from './Subject.js';
import { type ThreadTime, threadTimes } from './threadTimes.js';

const fastPath = 'REELAY_MEDIA_FAST_PATH';
const realtime = 'REELAY_MEDIA_REALTIME';
/** What reelay does by itself; none ends within the window, and `bench:recorder` says what that costs. */
const chunkSeconds = 60;
/** More than any subject holds. */
const calls = 10_000;
/** The thread that moves frames where the fast path is taken, by its name. */
const frameThread = /\bframes$/;

interface Variant {
  readonly name: string;
  readonly about: string;
  readonly record: 'always' | 'never';
  /** Given to the daemon; absent: its own choice. */
  readonly path?: 'true' | 'false';
  /** `media.realtime`, and the rest of the daemon free to take what is left of both processors. */
  readonly isRealtime?: boolean;
  /** All threads on the processor of the live path, which then is what all of it gets. */
  readonly isOnOneCore?: boolean;
}

/** reelay as it is, and by each of its two paths where it has both. */
export function reelays(): Subject[] {
  const variants: Variant[] = [
    { name: 'reelay-off', about: 'reelay, not recording', record: 'never' },
    { name: 'reelay', about: 'reelay, recording', record: 'always' },
  ];
  if (hasFastPath()) {
    variants.push(
      {
        name: 'reelay-ws-off',
        about: 'reelay, reference path, not recording',
        record: 'never',
        path: 'false',
      },
      { name: 'reelay-ws', about: 'reelay, reference path, recording', record: 'always', path: 'false' },
    );
  }
  variants.push(
    {
      name: 'reelay-realtime',
      about:
        'reelay, recording, with media.realtime; recorder, control and uploader take what is left of both processors',
      record: 'always',
      isRealtime: true,
    },
    {
      name: 'reelay-one-core',
      about:
        'reelay, recording, with media.realtime; recorder, control and uploader are on the one processor too',
      record: 'always',
      isRealtime: true,
      isOnOneCore: true,
    },
  );
  return variants.map(subjectOf);
}

/** Whether this version knows the switch between its paths; `REELAY_MEDIA_FAST_PATH` in the bench's environment reaches it either way. */
export function hasFastPath(): boolean {
  return variablesOf(configSchema('/')).has(fastPath);
}

function subjectOf(variant: Variant): Subject {
  const { name, about, path, isRealtime = false } = variant;
  return {
    name,
    about,
    traffic: 'relay',
    hasRows: variant.isOnOneCore !== true,
    missing: () =>
      isRealtime && !mayRunInRealtime() ? 'no thread that moves frames may run in real time here' : null,
    start: async (stage) => {
      const url = `ws://127.0.0.1:${stage.botPort}`;
      const daemon = await DaemonProcess.start({
        dir: stage.dir,
        accounts: [{ id: '*', upstream: url, resumeSeconds: 0, record: variant.record }],
        chunkSeconds,
        calls,
        config: { limits: { pendingStreams: calls } },
        env: {
          ...(path === undefined ? {} : { [fastPath]: path }),
          ...(isRealtime ? { [realtime]: 'true' } : {}),
        },
      });
      const ready = daemon.logs.find(({ msg }) => msg === 'reelay is ready');
      if (isRealtime && ready?.['realtime'] !== true) {
        await daemon.kill();
        throw new Error('its frames are not moved in real time: is REELAY_MEDIA_FAST_PATH false?');
      }
      return new RunningReelay(daemon, stage, variant);
    },
  };
}

/** The thread that moves media on one processor; recorder, control, V8's helpers and the pool for files on the other. */
class RunningReelay implements RunningSubject {
  readonly #daemon: DaemonProcess;
  readonly #stage: Stage;
  readonly #variant: Variant;

  constructor(daemon: DaemonProcess, stage: Stage, variant: Variant) {
    this.#daemon = daemon;
    this.#stage = stage;
    this.#variant = variant;
    this.pin();
  }

  get port(): number {
    return this.#daemon.mediaPort;
  }

  get pids(): readonly number[] {
    return [this.#daemon.pid];
  }

  isLive({ pid, tid, name }: ThreadTime): boolean {
    return this.#variant.isOnOneCore === true || tid === pid || frameThread.test(name);
  }

  pin(): void {
    const { core, otherCore } = this.#stage;
    const { isOnOneCore = false, isRealtime = false } = this.#variant;
    pinProcess(this.#daemon.pid, ...(isOnOneCore ? [core] : isRealtime ? [core, otherCore] : [otherCore]));
    for (const thread of threadTimes(this.pids)) if (this.isLive(thread)) pinThread(thread.tid, core);
  }

  async complaints(): Promise<Complaints> {
    if (!this.#daemon.alive) return { live: ['the daemon ended'], beside: [] };
    const live = await this.#told({
      reelay_upstream_dropped_frames_total: 'frames were dropped in front of the bot',
    });
    const beside = await this.#told({
      reelay_tap_dropped_frames_total: 'frames were dropped in front of the recorder',
      reelay_recorder_restarts_total: 'times the recorder was replaced',
      reelay_control_restarts_total: 'times control was replaced',
    });
    return { live, beside };
  }

  async stop(): Promise<void> {
    await this.#daemon.kill();
  }

  /** @param metrics - what it means when one isn't 0 */
  async #told(metrics: Readonly<Record<string, string>>): Promise<string[]> {
    const found: string[] = [];
    for (const [name, what] of Object.entries(metrics)) {
      // Control, which answers this, comes last on a processor that has too little, and may just be about to be replaced.
      try {
        const value = await eventually('its control answers', async () => await this.#metric(name));
        if (value > 0) found.push(`${value} ${what}`);
      } catch (error) {
        return [...found, error instanceof Error ? error.message : String(error)];
      }
    }
    return found;
  }

  /** @returns undefined while nobody answers. @throws Error when there is no such metric */
  async #metric(metric: string): Promise<number | undefined> {
    try {
      return await this.#daemon.metric(metric);
    } catch (error) {
      // What `fetch` says of a connection.
      if (error instanceof TypeError) return undefined;
      throw error;
    }
  }
}
