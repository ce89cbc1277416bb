import { writeSync } from 'node:fs';
import { ReelayError } from '../config/ReelayError.js';
import { uploadSteps, type UploadStep } from '../storage/UploadStep.js';

/** The last line of the log. A process is gone only some time after it was killed; what counts is what it had done by then. */
export const killedItself = 'reelay has killed itself';

/**
 * A named step of the upload path at which the process kills itself as `kill -9` would, so that tests can have it die exactly
 * there. It counts in one life of the control thread.
 */
export class KillPoint {
  readonly #step: string | undefined;
  readonly #turn: number;
  readonly #kill: () => void;
  #reached = 0;

  /**
   * @param text - `<step>`, or `<step>:<n>` for the n-th time that it is reached
   * @throws ReelayError `config_invalid`
   */
  constructor(text: string, kill = killItself) {
    const [, step, turn = '1'] = /^([a-z_]+)(?::([1-9]\d{0,8}))?$/.exec(text) ?? [];
    if (!uploadSteps.some((known) => known === step)) {
      const remedy = `Give one of ${uploadSteps.join(', ')}, or one and a number, as in "part_put:3".`;
      throw new ReelayError('config_invalid', { value: `REELAY_KILL_AT=${text}`, remedy });
    }
    this.#step = step;
    this.#turn = Number(turn);
    this.#kill = kill;
  }

  reached(step: UploadStep): void {
    if (step === this.#step && ++this.#reached === this.#turn) this.#kill();
  }
}

const standardOutput = 1;

function killItself(): void {
  // Not by way of main, where it would wait and never come out.
  try {
    writeSync(standardOutput, `${JSON.stringify({ level: 50, time: Date.now(), msg: killedItself })}\n`);
  } finally {
    process.kill(process.pid, 'SIGKILL');
  }
}
