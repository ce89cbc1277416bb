import { Command } from 'commander';
import { pino } from 'pino';
import { catalogueAt } from '../catalogue/catalogueAt.js';
import type { Environment } from '../config/environment.js';
import { type ConfigFlags, loadConfig } from '../config/load.js';
import { ReelayError } from '../config/ReelayError.js';
import { AccountDirectory } from '../control/AccountDirectory.js';
import { reindex, type Reindexed } from '../control/library/reindex.js';
import { clockOf } from '../storage/Clock.js';
import { Stores } from '../storage/Stores.js';
import { exitCodeOf, type Output } from './recordingTarget.js';

/** `reelay reindex`: exit 0 when everything was read, 1 when a store could not be, 2 when nothing could be done. */
export function reindexCommand(): Command {
  return new Command('reindex')
    .description('builds the list of recordings anew from spool and stores')
    .option('--config <file>', 'YAML or JSON configuration')
    .option('--store <place>', 'as for serve: a folder or s3://bucket/prefix, for every account listed')
    .action(async (flags: ConfigFlags) => {
      process.exitCode = await runReindex(flags);
    });
}

/** @returns the exit code */
export async function runReindex(
  flags: ConfigFlags,
  output: Output = process.stdout,
  errors: Output = process.stderr,
  environment: Environment = process.env,
): Promise<number> {
  return await exitCodeOf(async () => {
    const config = loadConfig(flags, environment);
    if (config.catalogue.url === 'memory:') {
      const remedy = 'Each start of the daemon reads it anew; name a file or a database for one that lasts.';
      throw new ReelayError('config_invalid', { value: 'catalogue.url is memory:', remedy });
    }
    const clock = clockOf();
    const directory = new AccountDirectory({ config: () => config, clock, log: pino({ level: 'silent' }) });
    const stores = new Stores(config, { find: (accountId) => directory.find(accountId), clock });
    const catalogue = catalogueAt(config.catalogue.url, (path) =>
      errors.write(`The file of the catalogue could not be read; it is ${path} now.\n`),
    );
    try {
      await catalogue.open();
      const result = await reindex(config, catalogue, stores);
      output.write(report(result));
      for (const { store, error } of result.failures) errors.write(`${store}: ${messageOf(error)}\n`);
      return result.failures.length === 0 ? 0 : 1;
    } finally {
      await catalogue.close();
      stores.close();
    }
  }, errors);
}

function report({ stored, spooled, removed }: Reindexed): string {
  const lines = [
    `recordings in stores  ${stored}`,
    `in the spool          ${spooled}`,
    `nowhere, taken out    ${removed}`,
  ];
  return `${lines.join('\n')}\n`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
