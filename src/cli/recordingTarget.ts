import { join, resolve } from 'node:path';
import type { Command, CommanderError } from 'commander';
import { isBucketUrl } from '../config/bucketStore.js';
import { ReelayError } from '../config/ReelayError.js';
import type { RecordingFiles } from '../spool/RecordingFiles.js';
import { isFolder, RecordingFolder, recordingsById } from '../spool/RecordingFolder.js';
import { folderBelowRoot, type RecordingRoot } from '../spool/RecordingRoot.js';
import { patiently } from './patiently.js';
import { SearchedPlaces, type SearchOptions } from './SearchedPlaces.js';

/** Where commands write; `process.stdout` and `process.stderr` by default, text collectors in tests. */
export interface Output {
  write(text: string): unknown;
}

/** Adds the argument and the options that name recordings. A usage error ends such a command with 2. */
export function takesRecordings(command: Command): Command {
  return command
    .argument('<recording>', 'id of a recording or of a call, a folder, or s3://bucket/prefix')
    .option('--store <place>', 'folder or s3://bucket/prefix to look in (default: ./recordings)')
    .option('--spool <dir>', 'spool to look in (default: ./spool)')
    .option(
      '--config <file>',
      'configuration whose stores and spool are meant, and whose credentials are used',
    )
    .exitOverride(exitWithTwo);
}

/**
 * Does something with the recordings that the argument of `verify` and `merge` means: a bucket's URL or a folder that exists,
 * with all recordings in and below it, else an id. There is at least one.
 *
 * @throws ReelayError `recording_unknown`, and what {@link SearchedPlaces} throws
 */
export async function withRecordings<T>(
  target: string,
  options: SearchOptions,
  work: (found: readonly RecordingFolder[]) => Promise<T>,
): Promise<T> {
  const places = new SearchedPlaces(options);
  try {
    return await work(await patiently(() => locate(target, places)));
  } finally {
    places.close();
  }
}

async function locate(target: string, places: SearchedPlaces): Promise<RecordingFolder[]> {
  if (isBucketUrl(target) || target.includes('://') || (await isFolder(target))) {
    const found = await places.root(target).recordings();
    if (found.length > 0) return await withOtherPlaces(found, places);
    const remedy = 'No recording lies there.';
    throw new ReelayError('recording_unknown', { value: target, remedy });
  }
  const found = await recordingsById(target, places.roots);
  if (found.length > 0) return found;
  const names = places.roots.map(({ name }) => name).join(', ');
  const remedy = `Searched ${names}; name others with --store, --spool and --config.`;
  throw new ReelayError('recording_unknown', { value: target, remedy });
}

/**
 * A recording that is being uploaded lies half in the store and half in the spool: what lies in one of them, or in a bucket,
 * is taken together with the same folder in the others. A folder elsewhere, such as a copy, stands for itself.
 */
async function withOtherPlaces(
  found: readonly RecordingFiles[],
  places: SearchedPlaces,
): Promise<RecordingFolder[]> {
  const folders = new Map<string, RecordingFolder>();
  for (const files of found) {
    const folder = folderBelowRoot(placeOf(files));
    const own = places.roots.find((root) => placeIn(root, folder) === placeOf(files));
    const isInPlace = own !== undefined || isBucketUrl(files.path);
    const others = isInPlace ? await elsewhere(folder, places.roots, files) : [];
    const key = others.length > 0 ? folder : files.path;
    if (!folders.has(key)) folders.set(key, new RecordingFolder([files, ...others]));
  }
  return [...folders.values()];
}

async function elsewhere(
  folder: string,
  roots: readonly RecordingRoot[],
  but: RecordingFiles,
): Promise<RecordingFiles[]> {
  const found: RecordingFiles[] = [];
  for (const root of roots) {
    if (placeIn(root, folder) === placeOf(but)) continue;
    const files = await root.recording(folder);
    if (files !== null) found.push(files);
  }
  return found;
}

function placeIn({ name }: RecordingRoot, folder: string): string {
  return name.includes('://') ? `${name}/${folder}` : join(resolve(name), folder);
}

function placeOf({ path }: RecordingFiles): string {
  return path.includes('://') ? path : resolve(path);
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

function exitWithTwo(error: CommanderError): never {
  process.exit(error.exitCode === 0 ? 0 : 2);
}
