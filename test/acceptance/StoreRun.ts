import { randomUUID } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { DaemonProcess } from './DaemonProcess.js';
import { Bucket, type BucketAccess } from './Bucket.js';
import { eventually } from './eventually.js';
import { FaultProxy } from './FaultProxy.js';
import { NumberedCall } from './NumberedCall.js';
import { Sink } from './Sink.js';
import { SchedulingDelay } from './SchedulingDelay.js';
import type { StoreBackend } from './StoreBackend.js';
import { judgeTenant } from './judgeTenant.js';
import { verifyTenant } from './verifyTenant.js';

export interface StoreRunOptions {
  readonly dir: string;
  readonly backend: StoreBackend;
  /** Of calls that don't come by jambonz's recording endpoint; those have its own. */
  readonly layout: 'chunks' | 'single' | 'both';
  readonly chunkSeconds: number;
  /** Ids; each gets a bucket and a key. */
  readonly tenants: readonly string[];
  /** How many times faster the upload path's pauses are. */
  readonly clockSpeed: number;
  /** What the portal's objects are; default: of every second tenant's mp3. */
  readonly recordFormat?: 'mp3' | 'wav';
  /** What the link to the store carries; default: as much as it can. */
  readonly bytesPerSecond?: number;
}

/** An account with its bucket and its calls. */
export interface Tenant {
  readonly id: string;
  readonly access: BucketAccess;
  readonly bucket: Bucket;
  /** Before every key of its objects; '' or with a slash at its end. */
  readonly prefix: string;
  /** Of its calls that don't come by jambonz's recording endpoint. */
  readonly layout: string;
  readonly calls: TenantCall[];
}

export interface TenantCall {
  readonly call: NumberedCall;
  readonly record: boolean;
  /** Samples per channel that must be in the bucket; grows while the daemon that took them lives. */
  required: number;
  /** The daemon lived until everything was noted: the recording must be complete. */
  whole: boolean;
  /** Life of the daemon in which it was made. */
  readonly life: number;
}

export interface CallShape {
  /** By jambonz's recording endpoint. */
  readonly record: boolean;
  readonly sampleRate: number;
  readonly seconds: number;
  readonly speed: number;
}

/** One frame, ms. */
const frameMs = 20;
/**
 * How far the recorder may be behind beyond its flush interval, ms: these calls bring many times the audio of as many calls in
 * real time. What the interval itself loses is measured by the crash runs.
 */
const behindMs = 250;

/** How long a backlog of hours may take on a machine that does other work: ten minutes. */
const backlog = { attempts: 3000, everyMs: 200 };

/**
 * A daemon with several accounts, each with a bucket of its own behind one proxy, and calls whose samples are numbered. It may be
 * killed and started as often as one likes; in the end every sample that it had acknowledged must lie in its account's bucket.
 */
export class StoreRun {
  readonly daemon: DaemonProcess;
  readonly proxy: FaultProxy;
  readonly tenants: readonly Tenant[];
  readonly #sink: Sink;
  readonly #delay = new SchedulingDelay();
  readonly #loop = monitorEventLoopDelay({ resolution: 5 });
  readonly #speaking = new Set<Promise<void>>();
  #life = 0;
  #seed = 0;

  private constructor(daemon: DaemonProcess, proxy: FaultProxy, sink: Sink, tenants: readonly Tenant[]) {
    this.daemon = daemon;
    this.proxy = proxy;
    this.#sink = sink;
    this.tenants = tenants;
    this.#loop.enable();
  }

  /** Nothing is started yet: {@link live} begins the daemon's first life. */
  static async open(options: StoreRunOptions): Promise<StoreRun> {
    const { dir, backend, layout, chunkSeconds, clockSpeed } = options;
    const proxy = await FaultProxy.open(backend.endpoint, options.bytesPerSecond);
    const sink = await Sink.open();
    const tenants: Tenant[] = [];
    for (const [index, id] of options.tenants.entries()) {
      const access = await backend.account(id);
      const prefix = index % 3 === 2 ? 'calls/of-reelay/' : '';
      tenants.push({ id, access, bucket: new Bucket(access), prefix, layout, calls: [] });
    }
    const daemon = DaemonProcess.prepare({
      dir,
      chunkSeconds,
      accounts: tenants.map(({ id, access, prefix }, index) => ({
        id,
        resumeSeconds: 0,
        // Every fourth account's calls are relayed to a bot as well.
        ...(index % 4 === 1 ? { upstream: { twilio: sink.url, jambonz: sink.url } } : {}),
        jambonz: { returns: 'none', recordFormat: options.recordFormat ?? (index % 2 === 0 ? 'mp3' : 'wav') },
        store: storeEntry(access, proxy, prefix),
      })),
      config: { recording: { layout } },
      env: { REELAY_FAULTS: '1', REELAY_CLOCK_SPEED: String(clockSpeed) },
    });
    return new StoreRun(daemon, proxy, sink, tenants);
  }

  async close(): Promise<void> {
    await this.daemon.kill();
    this.#loop.disable();
    await this.#delay.close();
    await this.proxy.close();
    await this.#sink.close();
    for (const { bucket } of this.tenants) bucket.close();
  }

  /**
   * Begins a life of the daemon.
   *
   * @param killAt - the step of the upload path at which it kills itself, `name` or `name:n` for the n-th time
   * @returns whether it lived until it was ready
   */
  async live(killAt?: string): Promise<boolean> {
    this.#life += 1;
    this.#delay.take();
    this.#loop.reset();
    try {
      await this.daemon.restart(killAt === undefined ? {} : { REELAY_KILL_AT: killAt });
      // The media port is open before the recorder has begun; what comes by then waits in memory.
      await eventually('all threads are ready', async () => {
        const answer = await this.daemon.get('/readyz').catch(() => undefined);
        await answer?.arrayBuffer();
        return answer?.ok === true || !this.daemon.alive;
      });
      return this.daemon.alive;
    } catch (error) {
      const { signal } = await this.daemon.gone();
      if (killAt !== undefined && signal === 'SIGKILL') return false;
      throw error;
    }
  }

  /** Makes a call; it speaks on its own. */
  call(tenant: Tenant, { record, ...shape }: CallShape): NumberedCall {
    const route = record ? '/record/aws_s3' : '/jambonz';
    this.#seed += 1;
    const call = new NumberedCall({
      ...shape,
      url: this.daemon.media(route),
      accountSid: tenant.id,
      callSid: randomUUID(),
      seed: this.#seed,
    });
    tenant.calls.push({ call, record, required: 0, whole: false, life: this.#life });
    const speaking = call.speak().finally(() => this.#speaking.delete(speaking));
    this.#speaking.add(speaking);
    return call;
  }

  /** Waits for the calls that are up. */
  async hungUp(): Promise<void> {
    await Promise.all(this.#speaking);
  }

  /** Ends a life: kills the daemon, if it didn't do that itself, and notes what it had acknowledged. */
  async die(): Promise<void> {
    await this.daemon.kill('SIGKILL');
    const boundMs =
      this.daemon.flushMs + frameMs + behindMs + this.#delay.take() + Math.max(0, this.#loop.max / 1e6 - 5);
    const sureMs = this.daemon.killedMs - boundMs;
    await this.hungUp();
    for (const each of this.#ofThisLife()) each.required = each.call.acknowledgedAt(sureMs);
  }

  /** Ends the last life's calls, stops all faults, and waits until everything has left the spool. */
  async settle(): Promise<void> {
    await this.hungUp();
    for (const each of this.#ofThisLife()) {
      each.whole = each.call.ended;
      each.required = each.call.ended ? each.call.sent : each.call.acknowledgedAt(Infinity);
    }
    this.proxy.heal();
    // A configuration that is read again lets accounts try anew that were parked.
    this.daemon.reload();
    await eventually('the spool is empty', async () => (await this.daemon.spooled()).length === 0, backlog);
  }

  /** What is wrong with what lies in the buckets; nothing, if all is well. */
  async judge(): Promise<string[]> {
    const problems: string[] = [];
    for (const tenant of this.tenants) {
      problems.push(...(await judgeTenant(tenant)), ...(await verifyTenant(tenant)));
    }
    for (const [index, tenant] of this.tenants.entries()) {
      const other = this.tenants[(index + 1) % this.tenants.length];
      if (other !== undefined && other !== tenant) problems.push(...(await openDoors(tenant, other)));
    }
    const dropped = await this.daemon.metric('reelay_tap_dropped_frames_total');
    if (dropped > 0) problems.push(`${dropped} records were dropped in front of the recorder`);
    return problems;
  }

  #ofThisLife(): TenantCall[] {
    return this.tenants.flatMap(({ calls }) => calls.filter(({ life }) => life === this.#life));
  }
}

/** Objects of one account that another one's key opens. */
async function openDoors(tenant: Tenant, other: Tenant): Promise<string[]> {
  const stranger = new Bucket({ ...other.access, bucket: tenant.access.bucket });
  try {
    const [key] = (await tenant.bucket.objects()).keys();
    const answers = {
      list: await stranger.refuses(undefined),
      ...(key === undefined ? {} : { read: await stranger.refuses(key) }),
    };
    return Object.entries(answers)
      .filter(([, status]) => status !== 403)
      .map(([what, status]) => `${other.id}'s key may ${what} in ${tenant.id}'s bucket: ${status ?? 200}`);
  } finally {
    stranger.close();
  }
}

function storeEntry(access: BucketAccess, proxy: FaultProxy, prefix: string): Record<string, unknown> {
  const { bucket, accessKeyId, secretAccessKey } = access;
  const place = {
    type: 's3',
    endpoint: proxy.endpoint,
    region: 'us-east-1',
    bucket,
    prefix: prefix.replace(/\/$/, ''),
  };
  return { ...place, accessKeyId, secretAccessKey };
}
