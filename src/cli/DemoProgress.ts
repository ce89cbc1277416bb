import type { Manifest } from '../spool/Manifest.js';

interface Listing {
  readonly recordings: readonly {
    readonly recordingId: string;
    readonly callId: string;
    readonly state: string;
  }[];
}

interface LiveCall {
  readonly callId: string;
  readonly seconds?: number | null;
  readonly peaks?: readonly number[] | null;
}

const pollMs = 250;
/** After the call's end the recording has this long to arrive in its store. */
const patienceMs = 15_000;

/** Shows how a call goes, by asking the daemon as anybody could: its clock, the level of both channels, sealed chunks. */
export class DemoProgress {
  readonly #api: string;
  readonly #callId: string;
  readonly #startMs = performance.now();
  #timer: NodeJS.Timeout | null = null;
  #levels: readonly number[] = [0, 0];
  #chunks = 0;

  constructor(api: string, callId: string) {
    this.#api = api;
    this.#callId = callId;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#show(), pollMs);
  }

  /** @returns the manifest, once the recording is in its store. @throws Error when it doesn't arrive */
  async finished(): Promise<Manifest> {
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const endMs = performance.now() + patienceMs; performance.now() < endMs;) {
      const manifest = await this.#manifest();
      if (manifest !== null && manifest.state !== 'recording' && manifest.state !== 'uploading') {
        this.#chunks = manifest.chunks.length;
        this.#levels = [0, 0];
        this.#print();
        if (process.stdout.isTTY) process.stdout.write('\n');
        return manifest;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error('The recording did not arrive in its store.');
  }

  async #show(): Promise<void> {
    const { calls } = await this.#get<{ calls: readonly LiveCall[] }>('/v1/calls', { calls: [] });
    this.#levels = calls.find((call) => call.callId === this.#callId)?.peaks ?? this.#levels;
    const manifest = await this.#manifest();
    this.#chunks = manifest?.chunks.length ?? 0;
    this.#print();
  }

  async #manifest(): Promise<Manifest | null> {
    const list = await this.#get<Listing>(`/v1/recordings?callId=${this.#callId}`, { recordings: [] });
    const id = list.recordings[0]?.recordingId;
    return id === undefined ? null : this.#get<Manifest | null>(`/v1/recordings/${id}`, null);
  }

  async #get<T>(path: string, otherwise: T): Promise<T> {
    const response = await fetch(this.#api + path).catch(() => null);
    return response?.ok === true ? ((await response.json()) as T) : otherwise;
  }

  #print(): void {
    const clock = ((performance.now() - this.#startMs) / 1000).toFixed(1).padStart(5);
    const [caller, bot] = [this.#levels[0] ?? 0, this.#levels[1] ?? 0];
    const line = `${clock} s  caller ${meter(caller)}  bot ${meter(bot)}  ${this.#chunks} chunks sealed`;
    if (process.stdout.isTTY) process.stdout.write(`\r${line}`);
    else if (Math.round(Number(clock) * 4) % 8 === 0) console.log(line);
  }
}

/** A bar of 12 for a peak of 0 to 32768, in steps of 4 dB. */
function meter(peak: number): string {
  const decibels = peak === 0 ? -Infinity : 20 * Math.log10(peak / 32_768);
  const steps = Math.max(0, Math.min(12, Math.round((decibels + 48) / 4)));
  return '█'.repeat(steps).padEnd(12, '·');
}
