import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { DaemonProcess } from '../test/acceptance/DaemonProcess.js';
import type { Point } from './Flatness.js';

/** What a process holds, by name. Bytes where the name says so. */
export type Holdings = ReadonlyMap<string, number>;

/** Everything of a daemon that may not grow, looked at every few seconds from outside. */
export class ResourceWatch {
  readonly #daemon: DaemonProcess;
  readonly #series = new Map<string, Point[]>();
  readonly #beganMs = performance.now();
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<unknown> = Promise.resolve();

  constructor(daemon: DaemonProcess, everyMs: number) {
    this.#daemon = daemon;
    this.#timer = setInterval(() => {
      this.#looking = this.#note().catch((error: unknown) => console.log(`not looked at: ${String(error)}`));
    }, everyMs);
  }

  /** Seconds since it began. */
  get seconds(): number {
    return (performance.now() - this.#beganMs) / 1000;
  }

  get names(): string[] {
    return [...this.#series.keys()];
  }

  /** What was seen of one thing from a time on, seconds. */
  series(name: string, fromSeconds = 0, untilSeconds = Infinity): Point[] {
    const points = this.#series.get(name) ?? [];
    return points.filter(({ atSeconds }) => atSeconds >= fromSeconds && atSeconds < untilSeconds);
  }

  /** What it holds now. */
  async look(): Promise<Holdings> {
    const { pid } = this.#daemon;
    const text = await (await this.#daemon.get('/metrics')).text();
    return new Map([...ofProcess(pid), ...ofMetrics(text)]);
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    await this.#looking;
  }

  async #note(): Promise<void> {
    const atSeconds = this.seconds;
    for (const [name, value] of await this.look()) {
      const series = this.#series.get(name) ?? [];
      this.#series.set(name, series);
      series.push({ atSeconds, value });
    }
  }
}

/** As Linux tells it (proc(5)). */
function ofProcess(pid: number): [string, number][] {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (key: string): number => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1]);
  const targets = readdirSync(`/proc/${pid}/fd`).map((fd) => targetOf(`/proc/${pid}/fd/${fd}`));
  const sockets = targets.filter((target) => target.startsWith('socket:')).length;
  return [
    ['rss bytes', field('VmRSS') * 1024],
    ['threads', field('Threads')],
    ['file descriptors', targets.length],
    ['sockets', sockets],
  ];
}

/** It may be closed by now. */
function targetOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

const wanted: readonly (readonly [RegExp, string])[] = [
  [/^reelay_tap_ring_bytes$/, 'ring bytes'],
  [/^reelay_spool_bytes$/, 'spool bytes'],
  [/^reelay_calls$/, 'calls'],
  [/^reelay_calls_total$/, 'calls so far'],
  [/^reelay_unstored_recordings$/, 'unstored'],
  [/^reelay_streams$/, 'streams'],
  [/^reelay_process_heap_bytes\{thread="(\w+)"\}$/, 'heap bytes $1'],
];

function ofMetrics(text: string): [string, number][] {
  const found: [string, number][] = [];
  for (const [, metric = '', value] of text.matchAll(/^(reelay_\S+) (\S+)$/gm)) {
    for (const [pattern, name] of wanted)
      if (pattern.test(metric)) found.push([metric.replace(pattern, name).trim(), Number(value)]);
  }
  return found;
}
