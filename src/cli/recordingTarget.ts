import { join, resolve, sep } from 'node:path';
import { type Command, type CommanderError, InvalidArgumentError } from 'commander';
import { ReelayError } from '../config/ReelayError.js';
import { isFolder, RecordingFolder, recordingsBelow, recordingsById } from '../spool/RecordingFolder.js';

/** Where a recording is looked for when the command line gives its id only. */
export interface SearchedFolders {
  readonly store: string;
  readonly spool: string;
}

/** Where commands write; `process.stdout` and `process.stderr` by default, text collectors in tests. */
export interface Output {
  write(text: string): unknown;
}

/** Adds the argument and the options that name recordings. A usage error ends such a command with 2. */
export function takesRecordings(command: Command): Command {
  return command
    .argument('<recording>', 'id of a recording or of a call, or a folder with recordings', localPath)
    .option('--store <dir>', 'folder of the file store to look for an id in', localPath, './recordings')
    .option('--spool <dir>', 'spool to look for an id in', localPath, './spool')
    .exitOverride(exitWithTwo);
}

/**
 * What the argument of `verify` and `merge` means: a folder that exists, with all recordings in and below it, else an id.
 *
 * @returns at least one recording
 * @throws ReelayError `recording_unknown`
 */
export async function locateRecordings(
  target: string,
  searched: SearchedFolders,
): Promise<RecordingFolder[]> {
  if (await isFolder(target)) {
    const paths = await recordingsBelow(target);
    if (paths.length > 0) return await withOtherHalves(paths, [searched.store, searched.spool]);
    throw new ReelayError('recording_unknown', { value: target, remedy: 'The folder holds no recording.' });
  }
  const found = await recordingsById(target, [searched.store, searched.spool]);
  if (found.length > 0) return found;
  const remedy = `Searched ${searched.store} and ${searched.spool}; name others with --store and --spool.`;
  throw new ReelayError('recording_unknown', { value: target, remedy });
}

/**
 * A recording that is being uploaded lies half in the store and half in the spool: a folder in one of them is taken together
 * with the same folder in the other. A folder elsewhere, such as a copy, stands for itself.
 */
async function withOtherHalves(
  paths: readonly string[],
  roots: readonly string[],
): Promise<RecordingFolder[]> {
  const found = new Map<string, RecordingFolder>();
  for (const path of paths) {
    const halves = roots.map((root) => join(resolve(root), ...resolve(path).split(sep).slice(-4)));
    const own = halves.indexOf(resolve(path));
    const other = own === -1 ? undefined : halves[1 - own];
    const isSplit = other !== undefined && (await isFolder(other));
    const key = isSplit ? halves.join() : resolve(path);
    if (!found.has(key)) found.set(key, new RecordingFolder(isSplit ? [path, other] : [path]));
  }
  return [...found.values()];
}

/** Runs a command's work; an error that has a code is printed in one line and gives 2. */
export async function exitCodeOf(work: () => Promise<number>, errors: Output): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ReelayError)) throw error;
    errors.write(`${error.code}: ${error.message}\n`);
    return 2;
  }
}

function localPath(value: string): string {
  if (!/^[a-z][a-z0-9]+:\/\//i.test(value)) return value;
  throw new InvalidArgumentError(
    new ReelayError('target_unsupported', { remedy: 'Copy the recording to a folder first.' }).message,
  );
}

function exitWithTwo(error: CommanderError): never {
  process.exit(error.exitCode === 0 ? 0 : 2);
}
