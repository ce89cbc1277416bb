import { Command } from 'commander';
import type { Environment } from '../config/environment.js';
import { type ConfigFlags, loadConfig } from '../config/load.js';
import { ReelayError } from '../config/ReelayError.js';
import type { Check } from '../doctor/Check.js';
import { examine, unreadable } from '../doctor/Doctor.js';
import type { Output } from './recordingTarget.js';
import { textTable } from './textTable.js';

export interface DoctorFlags extends ConfigFlags {
  readonly json?: boolean;
}

/** `reelay doctor`: exit 0 when nothing hinders the daemon, 1 when something does. Warnings don't. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('checks configuration, ports, disk, clock, bots and stores, and says what to mend')
    .option('--config <file>', 'YAML or JSON configuration')
    .option('--upstream <url>', 'as for serve')
    .option('--store <place>', 'as for serve')
    .option(
      '--json',
      'for programs: { "ok", "checks": [{ "name", "subject", "status", "detail", "remedy" }] }',
    )
    .action(async (flags: DoctorFlags) => {
      process.exitCode = await runDoctor(flags);
    });
}

/** @returns the exit code */
export async function runDoctor(
  flags: DoctorFlags,
  output: Output = process.stdout,
  environment: Environment = process.env,
): Promise<number> {
  const checks = await checksFor(flags, environment);
  const isWell = checks.every(({ status }) => status !== 'failed');
  output.write(flags.json === true ? `${JSON.stringify({ ok: isWell, checks }, null, 2)}\n` : report(checks));
  return isWell ? 0 : 1;
}

async function checksFor(flags: DoctorFlags, environment: Environment): Promise<readonly Check[]> {
  try {
    const config = loadConfig(flags, environment);
    const subject = flags.config ?? 'environment and flags';
    const detail = `${config.accounts.length} accounts`;
    return [{ name: 'config', subject, status: 'ok', detail, remedy: null }, ...(await examine(config))];
  } catch (error) {
    if (!(error instanceof ReelayError)) throw error;
    return [unreadable(error, flags.config)];
  }
}

function report(checks: readonly Check[]): string {
  const rows = checks.map(({ status, name, subject, detail }) => [
    status === 'failed' ? 'FAILED' : status,
    name,
    subject,
    detail,
  ]);
  const remedies = checks.flatMap(({ remedy, name, subject, status }) =>
    remedy === null ? [] : [`${status === 'failed' ? 'FAILED' : status} ${name}, ${subject}:\n  ${remedy}`],
  );
  const count = (status: Check['status']): number => checks.filter((check) => check.status === status).length;
  const summary = `${count('ok')} ok, ${count('warning')} warnings, ${count('failed')} failed`;
  return `${[textTable(rows), ...remedies, summary].join('\n\n')}\n`;
}
