import { ReelayError } from '../config/ReelayError.js';
import { KillPoint } from './KillPoint.js';

/** What tests may do to the upload path of a running daemon. */
export interface UploadFaults {
  /** How many times faster than the wall clock its time runs. */
  readonly clockSpeed: number;
  readonly killPoint: KillPoint | null;
}

/**
 * Reads `REELAY_CLOCK_SPEED` and `REELAY_KILL_AT`, which count for nothing without `REELAY_FAULTS=1`.
 *
 * @throws ReelayError `config_invalid`
 */
export function uploadFaults(env: Readonly<NodeJS.ProcessEnv>): UploadFaults {
  if (env['REELAY_FAULTS'] !== '1') return { clockSpeed: 1, killPoint: null };
  const { REELAY_CLOCK_SPEED: speed, REELAY_KILL_AT: killAt } = env;
  const clockSpeed = speed === undefined ? 1 : Number(speed);
  if (!(clockSpeed > 0 && clockSpeed < Infinity)) {
    const remedy = 'Give a number above 0: how many times faster the time of uploads runs.';
    throw new ReelayError('config_invalid', { value: `REELAY_CLOCK_SPEED=${speed ?? ''}`, remedy });
  }
  return { clockSpeed, killPoint: killAt === undefined ? null : new KillPoint(killAt) };
}
