import { mkdirSync, readdirSync, existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { adoptedFolder, checkpointFolder, journalFolder } from '../spool/layout.js';
import { readRecords } from '../tap/RecordReader.js';
import { checkpointPath, readCheckpoints } from './Checkpoint.js';
import { Journal } from './Journal.js';
import type { RecordingHome } from './Recording.js';
import { RecordingSet } from './RecordingSet.js';

/** Audio that is rendered before what of it is final goes to the chunk files: memory holds no more, however long a journal is. */
const mostUnwrittenBytes = 4 * 1024 * 1024;

/** What can't be rendered is kept under this name. */
const damagedExtension = '.damaged';

/** What a journal held: the recordings that were live when it ended, and where to go on. */
export interface OpenedJournal {
  readonly journal: Journal;
  readonly recordings: RecordingSet;
  /** Sequence of the last record in it. */
  readonly lastSequence: number;
}

/** The part of records, lying one behind the other, that comes after a sequence; with its first and last sequence. */
export function unread(
  records: Uint8Array,
  after: number,
): { readonly records: Uint8Array; readonly first: number; readonly last: number } {
  let start = records.length;
  let first = 0;
  let last = 0;
  readRecords(records, ({ sequence }, offset) => {
    if (sequence > after && first === 0) [first, start] = [sequence, offset];
    last = sequence;
  });
  return { records: records.subarray(start), first, last };
}

/**
 * Opens a daemon's journal and renders what lies in it: the one way in which every start begins, whether there was a crash
 * or nothing before it.
 *
 * @yields after each batch, so that the caller can do other things between them
 */
export function* openJournal(
  daemonDir: string,
  home: Omit<RecordingHome, 'checkpointPath' | 'synced'>,
  log: Logger,
): Generator<void, OpenedJournal, void> {
  const checkpoints = join(daemonDir, checkpointFolder);
  mkdirSync(checkpoints, { recursive: true });
  const journal = new Journal(join(daemonDir, journalFolder));
  const found = readCheckpoints(checkpoints, (path, error) =>
    log.warn({ err: error, path }, 'a checkpoint cannot be read; the recording is rendered from its journal'),
  );
  const recordings = new RecordingSet(
    { ...home, checkpointPath: (id) => checkpointPath(checkpoints, id), synced: () => journal.sync() },
    found,
    log,
  );
  let lastSequence = found.reduce((most, each) => Math.max(most, each.sequence), 0);
  let unwritten = 0;
  for (const batch of journal.replay((error) => log.warn({ code: error.code }, error.message))) {
    recordings.apply(batch.records);
    unwritten += batch.records.length;
    if (unwritten > mostUnwrittenBytes) {
      recordings.progress();
      unwritten = 0;
    }
    lastSequence = Math.max(lastSequence, batch.last);
    yield;
  }
  return { journal, recordings, lastSequence };
}

/**
 * Renders and seals what daemons that are gone have left, then forgets their journals.
 *
 * @yields between batches
 */
export async function* recover(
  daemonDir: string,
  home: Omit<RecordingHome, 'checkpointPath' | 'synced'>,
  log: Logger,
): AsyncGenerator<void, void, void> {
  const folder = join(daemonDir, adoptedFolder);
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    if (name.endsWith(damagedExtension)) continue;
    try {
      const interrupted = yield* recoverOne(join(folder, name), home, log);
      log.info({ daemon: name, interrupted }, 'what a former daemon left has been recovered');
    } catch (error) {
      log.error(
        { err: error, daemon: name },
        'a former daemon cannot be recovered; it waits for the next start',
      );
    }
  }
}

async function* recoverOne(
  path: string,
  home: Omit<RecordingHome, 'checkpointPath' | 'synced'>,
  log: Logger,
): AsyncGenerator<void, number, void> {
  const { recordings, journal } = yield* openJournal(path, home, log);
  const interrupted = recordings.live.length;
  recordings.finish('process_ended');
  await recordings.settled();
  journal.close();
  if (recordings.strays > 0) {
    // Audio that nobody can place is still audio: it stays until a person has looked at it.
    await rename(path, path + damagedExtension);
    return interrupted;
  }
  // The journal goes first: without the checkpoints, which tell what is finished, it would be rendered once more.
  await rm(join(path, journalFolder), { recursive: true, force: true });
  await rm(path, { recursive: true });
  return interrupted;
}
