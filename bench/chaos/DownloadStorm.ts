import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Fault } from './Fault.js';
import type { Scene } from './Scene.js';

export interface StormOrder {
  readonly port: number;
  readonly clients: number;
  readonly path: string;
  readonly polled: readonly string[];
}

export interface StormReport {
  readonly bytes: number;
  readonly downloads: number;
  readonly polls: number;
  /** Answers other than 200, by status, of downloads and polls. */
  readonly refused: Readonly<Record<string, number>>;
}

const clients = 100;
/** How long the storm may take to begin, ms. */
const patienceMs = 60_000;

/** A hundred clients download a long recording at once, as fast as they are given it, while pages poll and metrics are scraped. */
export class DownloadStorm implements Fault {
  readonly name = 'download-storm';
  readonly setting = 'plain';
  #bytes = 0;
  #polls = 0;
  readonly #refused = new Map<string, number>();
  #clients: ChildProcess | undefined;

  /** Up before the first window: to start a process costs more than a window's share of the processors. */
  async prepare(): Promise<void> {
    const child = fork(fileURLToPath(new URL('./stormProcess.js', import.meta.url)));
    process.once('exit', () => child.kill('SIGKILL'));
    this.#clients = child;
    await once(child, 'message');
  }

  /** Resolves when the storm is under way: on a busy machine a hundred connections alone take longer than a short window. */
  async begin({ daemon, stored }: Scene): Promise<void> {
    if (stored === null) throw new Error('there is nothing to download');
    const order: StormOrder = {
      port: daemon.controlPort,
      clients,
      path: `/v1/recordings/${stored.recordingId}/audio.wav`,
      polled: ['/v1/calls', '/v1/recordings?limit=100', '/metrics'],
    };
    const child = this.#clients;
    if (child === undefined) throw new Error('there are no clients');
    const isUnderWay = once(child, 'message', { signal: AbortSignal.timeout(patienceMs) });
    child.send(order);
    await isUnderWay;
  }

  async end(scene: Scene): Promise<void> {
    const child = this.#clients;
    if (child === undefined) throw new Error('there are no clients');
    const reported = once(child, 'message') as Promise<[StormReport]>;
    child.send('stop');
    const [{ bytes, polls, refused }] = await reported;
    this.#bytes += bytes;
    this.#polls += polls;
    for (const [status, times] of Object.entries(refused)) {
      this.#refused.set(status, (this.#refused.get(status) ?? 0) + times);
    }
    await scene.allReady();
  }

  evidence(): Promise<string> {
    this.#clients?.kill('SIGKILL');
    if (this.#bytes < 2 ** 20 || this.#polls === 0) {
      throw new Error(`${this.#bytes} bytes were downloaded, ${this.#polls} polls were answered`);
    }
    const refused = [...this.#refused].map(([status, times]) => `, ${times} × ${status}`).join('');
    const mib = (this.#bytes / 2 ** 20).toFixed(0);
    return Promise.resolve(`${mib} MiB downloaded, ${this.#polls} polls answered${refused}`);
  }
}
