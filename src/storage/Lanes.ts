/** `live`: somebody is waiting for it now; `backlog`: it lay there already. */
export type Urgency = 'live' | 'backlog';

export interface LaneLimits {
  /** Jobs of one lane that work at once. */
  readonly width: number;
  /** Jobs of one lane that may sleep beside them; further ones keep their place while they sleep. */
  readonly sleepers: number;
}

/**
 * Runs jobs side by side in lanes that don't delay each other. Of a lane, `width` jobs work at a time. Those that wait are taken in
 * the order in which they came, in turn from the urgent ones and the others, so that neither kind starves the other. A job that
 * is asked for again while it runs runs once more afterwards; asked for while it waits, it runs once.
 */
export class Lanes {
  readonly #limits: LaneLimits;
  readonly #run: (job: string) => Promise<void>;
  readonly #lanes = new Map<string, Lane>();
  #idle: (() => void)[] = [];

  /** @param run - must not reject */
  constructor(limits: LaneLimits, run: (job: string) => Promise<void>) {
    this.#limits = limits;
    this.#run = run;
  }

  add(name: string, job: string, urgency: Urgency): void {
    const lane = this.#lanes.get(name) ?? new Lane();
    this.#lanes.set(name, lane);
    lane.wait(job, urgency);
    this.#next(name, lane);
  }

  /** Whether a job of this lane waits for a place. */
  isWanted(name: string): boolean {
    return this.#lanes.get(name)?.isWanted ?? false;
  }

  /**
   * A running job gives its place to the lane's next one while it sleeps.
   *
   * @returns false when too many sleep already, and it keeps its place
   */
  leave(name: string): boolean {
    const lane = this.#lanes.get(name);
    if (lane === undefined || lane.away >= this.#limits.sleepers) return false;
    lane.away++;
    this.#next(name, lane);
    return true;
  }

  /** Resolves when there is a place again for a job that has left. */
  async return(name: string): Promise<void> {
    const lane = this.#lanes.get(name);
    if (lane === undefined) return;
    await new Promise<void>((resolve) => {
      lane.returning.push(resolve);
      this.#next(name, lane);
    });
  }

  /** Jobs that have begun and not ended, the sleeping ones too. */
  get running(): number {
    let count = 0;
    for (const { running } of this.#lanes.values()) count += running.size;
    return count;
  }

  /** Resolves when nothing runs or waits. */
  async idle(): Promise<void> {
    if (this.#lanes.size === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #next(name: string, lane: Lane): void {
    while (lane.running.size - lane.away < this.#limits.width) {
      const back = lane.returning.shift();
      if (back !== undefined) {
        lane.away--;
        back();
        continue;
      }
      const job = lane.take();
      if (job === undefined) break;
      lane.running.add(job);
      void this.#run(job).finally(() => {
        lane.running.delete(job);
        this.#next(name, lane);
      });
    }
    if (lane.running.size > 0 || lane.isWanted) return;
    this.#lanes.delete(name);
    if (this.#lanes.size > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

class Lane {
  readonly running = new Set<string>();
  /** Jobs that are running and have given their place away. */
  away = 0;
  /** Those of them that want it back. */
  readonly returning: (() => void)[] = [];
  readonly #live = new Set<string>();
  readonly #backlog = new Set<string>();
  #liveNext = true;

  get isWanted(): boolean {
    return this.#live.size + this.#backlog.size + this.returning.length > 0;
  }

  wait(job: string, urgency: Urgency): void {
    if (urgency === 'live') this.#backlog.delete(job);
    if (!this.#live.has(job)) (urgency === 'live' ? this.#live : this.#backlog).add(job);
  }

  /** The next job that isn't running, or undefined. */
  take(): string | undefined {
    const [first, second] = this.#liveNext ? [this.#live, this.#backlog] : [this.#backlog, this.#live];
    this.#liveNext = !this.#liveNext;
    return this.#from(first) ?? this.#from(second);
  }

  #from(waiting: Set<string>): string | undefined {
    for (const job of waiting) {
      if (this.running.has(job)) continue;
      waiting.delete(job);
      return job;
    }
    return undefined;
  }
}
