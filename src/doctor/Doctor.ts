import type { Config } from '../config/Config.js';
import { accessChecks } from './access.js';
import { type Check, failed } from './Check.js';
import { clockCheck } from './clock.js';
import { fileChecks } from './files.js';
import { indexChecks } from './indexes.js';
import { machineChecks } from './machine.js';
import { portChecks } from './ports.js';
import { roomChecks } from './rooms.js';
import { spoolChecks } from './spool.js';
import { storeChecks } from './stores.js';
import { upstreamChecks } from './upstreams.js';

/**
 * Looks at everything that a daemon with this configuration would need, from here: this machine, its ports and disk, bots, stores,
 * catalogue. It changes nothing that stays.
 *
 * @returns in the order in which they are worth mending
 */
export async function examine(config: Config): Promise<Check[]> {
  const groups = [
    machineChecks(config),
    portChecks(config),
    Promise.resolve(accessChecks(config)),
    fileChecks(config),
    spoolChecks(config),
    clockCheck(config).then((check) => [check]),
    upstreamChecks(config),
    roomChecks(config),
    storeChecks(config),
    indexChecks(config),
  ];
  return (await Promise.all(groups)).flat();
}

/** The configuration as a check, for one that can't be read. */
export function unreadable(error: unknown, file: string | undefined): Check {
  const findings = failed('it is not valid', remedyOf(error));
  return { name: 'config', subject: file ?? 'environment and flags', ...findings };
}

function remedyOf(error: unknown): string {
  const remedy = (error as { remedy?: unknown }).remedy;
  return typeof remedy === 'string' ? remedy : 'Mend the configuration.';
}
