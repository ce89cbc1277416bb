import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { ReelayError } from '../config/ReelayError.js';
import type { DaemonFolder } from '../spool/DaemonFolder.js';
import { Neighbour } from '../spool/Neighbour.js';

export interface SuccessionOptions {
  readonly folder: Pick<DaemonFolder, 'neighbours' | 'adopt'>;
  /** Has what was adopted rendered and sealed; resolves when that is done, and never rejects. */
  readonly recover: () => Promise<void>;
  /** The last other daemon is gone and what it left is recovered. */
  readonly alone: () => void;
  readonly log: Logger;
}

/** How often a daemon that closed its connection and still holds its lock is asked again, ms. */
const askAgainMs = 1000;

/**
 * What becomes of the other daemons on the spool, which are ending or are asked to: they give their ports back, they go, and what
 * they left is taken over, each by itself and in whatever way it goes.
 */
export class Succession {
  readonly #options: SuccessionOptions;
  readonly #living: Set<Neighbour>;
  readonly #over = new AbortController();

  constructor(options: SuccessionOptions) {
    this.#options = options;
    this.#living = new Set(options.folder.neighbours);
  }

  /** Whether there are other daemons whose recordings lie in the spool. */
  get isAlone(): boolean {
    return this.#living.size === 0;
  }

  /** Ports that the others hold. */
  async ports(): Promise<number[]> {
    const states = await Promise.all([...this.#living].map((neighbour) => neighbour.ask()));
    return states.flatMap(({ ports }) => ports);
  }

  /**
   * Has the others end their calls. Resolves when their media ports are free.
   *
   * @returns settles when their control ports are free as well, or are waited for no longer
   * @throws ReelayError `spool_locked` when one doesn't answer
   */
  async takePorts(): Promise<{ readonly control: Promise<unknown> }> {
    const answers = [...this.#living].map(async (neighbour) => {
      const given = await neighbour.handOver();
      if (given !== null) return given.control;
      const remedy = 'It lives and does not answer; end it.';
      throw new ReelayError('spool_locked', { value: neighbour.path, remedy });
    });
    const controls = (await Promise.all(answers.map((each) => each.then((control) => [control])))).flat();
    return { control: Promise.all(controls) };
  }

  /** From now on what the others leave is taken over as they go. */
  watch(): void {
    for (const neighbour of this.#living) void this.#succeed(neighbour);
  }

  /** This daemon ends, too: what the others leave is its successor's. */
  stop(): void {
    this.#over.abort();
  }

  async #succeed(neighbour: Neighbour): Promise<void> {
    const { path } = neighbour;
    const { folder, recover, alone, log } = this.#options;
    await this.#goes(neighbour);
    if (this.#over.signal.aborted) return;
    try {
      folder.adopt(path);
    } catch (error) {
      log.error({ err: error, path }, 'what a daemon left cannot be adopted; it waits for the next start');
    }
    await recover();
    this.#living.delete(neighbour);
    log.info({ path, others: this.#living.size }, 'another daemon on this spool is gone');
    if (this.isAlone) this.#unlessOver(alone);
  }

  /** Resolves when nobody holds its lock any more, or this daemon ends, too; one that can't be asked is asked again. */
  async #goes(neighbour: Neighbour): Promise<void> {
    const { path } = neighbour;
    for (let guest: Neighbour | null = neighbour; guest !== null && !this.#over.signal.aborted;) {
      await guest.gone;
      try {
        guest = await Neighbour.meet(path);
      } catch (error) {
        this.#options.log.warn(
          { err: error, path },
          'whether a daemon is gone cannot be seen; it is looked for again',
        );
      }
      if (guest !== null) await sleep(askAgainMs, undefined, { ref: false });
    }
  }

  #unlessOver(act: () => void): void {
    if (!this.#over.signal.aborted) act();
  }
}
