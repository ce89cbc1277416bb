import { join } from 'node:path';
import { CrashLane, type CrashPhase, crashPhases, type CrashRound } from './CrashLane.js';
import type { LogLine } from './DaemonProcess.js';
import { randomFrom } from './randomFrom.js';

/** Of each lane one: whatever a recording becomes in its store must survive. */
const layouts = ['chunks', 'both', 'single'] as const;

/** Kills daemons at random moments of running calls, several side by side, starts them again, and looks for what is missing. */
export class CrashRun {
  readonly #lanes: readonly CrashLane[];
  readonly #random: () => number;
  /** Phases that are to come next, in any order: each of them comes before one comes again. */
  #phases: CrashPhase[] = [];
  #isEnough = false;

  private constructor(lanes: readonly CrashLane[], random: () => number) {
    this.#lanes = lanes;
    this.#random = random;
  }

  static async open(dir: string, seed: number, lanes: number): Promise<CrashRun> {
    const opening = Array.from({ length: lanes }, (_, lane) => {
      const layout = layouts[lane % layouts.length] ?? 'chunks';
      return CrashLane.open(join(dir, `lane-${lane}`), layout, randomFrom(seed + 7919 * (lane + 1)));
    });
    return new CrashRun(await Promise.all(opening), randomFrom(seed));
  }

  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }

  /** What the daemons of the run have logged from warnings on. */
  get complaints(): readonly LogLine[] {
    return this.#lanes.flatMap((lane) => lane.complaints);
  }

  /**
   * Goes on until there were this many kills.
   *
   * @param told - of each round when it is judged
   */
  async kill(wanted: number, told: (round: CrashRound) => void): Promise<void> {
    let kills = 0;
    const work = async (lane: CrashLane): Promise<void> => {
      while (kills < wanted && !this.#isEnough) {
        const round = await lane.round(this.#nextPhase());
        kills += round.kills;
        told(round);
      }
    };
    await Promise.all(this.#lanes.map(work));
  }

  /** Begins no further round. */
  stop(): void {
    this.#isEnough = true;
  }

  #nextPhase(): CrashPhase {
    if (this.#phases.length === 0) this.#phases = [...crashPhases];
    const [phase = 'talking'] = this.#phases.splice(Math.floor(this.#random() * this.#phases.length), 1);
    return phase;
  }
}
