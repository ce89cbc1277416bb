import { access, constants, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pino } from 'pino';
import { catalogueAt } from '../catalogue/catalogueAt.js';
import type { Config } from '../config/Config.js';
import { AccountDirectory } from '../control/AccountDirectory.js';
import { clockOf } from '../storage/Clock.js';
import { type Check, failed, type Findings, ok, reasonOf, warning } from './Check.js';

/** The account that nobody has; an endpoint that is well says so. */
const nobody = 'reelay-doctor';

/** What is looked up in: the catalogue, and the endpoint that knows the accounts. */
export async function indexChecks(config: Config): Promise<Check[]> {
  const checks = [catalogueCheck(config.catalogue.url)];
  if (config.accountLookup !== null) checks.push(lookupCheck(config, config.accountLookup.url));
  return await Promise.all(checks);
}

async function catalogueCheck(url: string): Promise<Check> {
  const name = 'catalogue';
  if (url === 'memory:') return { name, subject: url, ...ok('in memory; stores are read at every start') };
  if (!url.startsWith('sqlite:')) {
    const { protocol, host, pathname } = new URL(url);
    return { name, subject: `${protocol}//${host}${pathname}`, ...(await databaseFindings(url)) };
  }
  const path = url.slice('sqlite:'.length);
  return { name, subject: path, ...(await fileFindings(path)) };
}

/** Not opened: a daemon may have it, and a file that is damaged would be set aside. */
async function fileFindings(path: string): Promise<Findings> {
  const remedy = 'Give catalogue.url a file in a folder that the daemon may write to.';
  try {
    await access(dirname(path), constants.W_OK | constants.X_OK);
    const file = await stat(path).catch(() => null);
    if (file === null) return ok('it will be made at the first start');
    if (!file.isFile()) return failed('it is no file', remedy);
    await access(path, constants.R_OK | constants.W_OK);
    return ok(`${(file.size / 2 ** 20).toFixed(1)} MiB`);
  } catch (error) {
    return failed(reasonOf(error), remedy);
  }
}

async function databaseFindings(url: string): Promise<Findings> {
  const catalogue = catalogueAt(url);
  try {
    const sinceMs = performance.now();
    await catalogue.open();
    await catalogue.list({ limit: 1 });
    return ok(`answered in ${(performance.now() - sinceMs).toFixed(0)} ms`);
  } catch (error) {
    return failed(reasonOf(error), 'Start the database, and give its user the right to make tables in it.');
  } finally {
    await catalogue.close().catch(() => undefined);
  }
}

async function lookupCheck(config: Config, url: string): Promise<Check> {
  const subject = new URL(url).origin;
  const directory = new AccountDirectory({
    config: () => config,
    clock: clockOf(),
    log: pino({ level: 'silent' }),
  });
  const name = 'account look-up';
  try {
    const found = await directory.find(nobody);
    if (found === undefined)
      return { name, subject, ...ok('it answers that there is no account of that name') };
    const detail = `it knows an account ${nobody}, which nobody made`;
    return { name, subject, ...warning(detail, 'Have it answer 404 for accounts that it does not know.') };
  } catch (error) {
    const remedy =
      'Have the endpoint answer 404 for an account that it does not know, within accountLookup.timeoutMs.';
    return { name, subject, ...failed(reasonOf(error), remedy) };
  }
}
