import { existsSync, mkdirSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { ReelayError } from '../config/ReelayError.js';
import { adoptedFolder, checkpointFolder, journalFolder } from '../spool/layout.js';
import { syncFolder } from '../spool/durable.js';
import { Quarantine } from '../spool/Quarantine.js';
import { checkpointPath, readCheckpoints } from './Checkpoint.js';
import { Journal, secureJournal } from './Journal.js';
import type { RecordingHome } from './RecordingHome.js';
import { RecordingSet } from './RecordingSet.js';

/** Audio that is rendered before what of it is final goes to the chunk files: memory holds no more, however long a journal is. */
const mostUnwrittenBytes = 4 * 1024 * 1024;

/** What a journal held: the recordings that were live when it ended, and where to go on. */
export interface OpenedJournal {
  readonly journal: Journal;
  readonly recordings: RecordingSet;
  /** Sequence of the last record in it. */
  readonly lastSequence: number;
}

/**
 * Opens a daemon's journal and renders what lies in it: the one way in which every start begins, whether there was a crash
 * or nothing before it.
 *
 * @param isSecured - journal and checkpoints have been made safe from a loss of power
 * @yields after each batch, so that the caller can do other things between them
 */
export function* openJournal(
  daemonDir: string,
  home: Omit<RecordingHome, 'checkpointPath' | 'synced'>,
  log: Logger,
  isSecured = false,
): Generator<void, OpenedJournal, void> {
  const checkpoints = join(daemonDir, checkpointFolder);
  mkdirSync(checkpoints, { recursive: true });
  clearTemporaries(checkpoints, home.quarantine);
  // A former reader may have ended between a checkpoint's renaming and its sync; what it lets go must not come to depend on it.
  const journal = new Journal(join(daemonDir, journalFolder), undefined, [checkpoints]);
  let { isDamaged = false } = home;
  const found = readCheckpoints(checkpoints, (path, error) => {
    log.warn({ err: error, path }, 'a checkpoint cannot be read; the recording is rendered from its journal');
    home.quarantine?.setAside(path, 'a checkpoint that cannot be read');
    isDamaged = true;
  });
  const recordings = new RecordingSet(
    {
      ...home,
      isDamaged,
      checkpointPath: (id) => checkpointPath(checkpoints, id),
      synced: () => journal.sync(),
      isSynced: (sequence) => sequence <= journal.syncedSequence,
    },
    found,
    log,
  );
  let lastSequence = found.reduce((most, each) => Math.max(most, each.sequence), 0);
  let unwritten = 0;
  let isFirst = true;
  const warn = (error: ReelayError): void => log.warn({ code: error.code }, error.message);
  for (const batch of journal.replay(warn, home.quarantine, isSecured)) {
    if (batch.isAfterHole || isFirst) recordings.missedUpTo(batch.first - 1, batch.isAfterTear);
    isFirst = false;
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
 * Renders and seals what daemons that are gone have left, then forgets their journals. What it doesn't understand is set aside,
 * and nothing of it deleted.
 *
 * @yields between batches
 * @returns whether nothing is left for the next start
 */
export async function* recover(
  daemonDir: string,
  home: Omit<RecordingHome, 'checkpointPath' | 'synced'>,
  log: Logger,
): AsyncGenerator<void, boolean, void> {
  const folder = join(daemonDir, adoptedFolder);
  if (!existsSync(folder)) return true;
  const quarantine = home.quarantine ?? quarantineOf(home.spoolDir, log);
  let isDone = true;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const { name } = entry;
    try {
      if (!entry.isDirectory()) quarantine.setAside(join(folder, name), 'it is no folder of a daemon');
      else {
        const interrupted = yield* recoverOne(join(folder, name), { ...home, quarantine }, log);
        log.info({ daemon: name, interrupted }, 'what a former daemon left has been recovered');
      }
    } catch (error) {
      isDone = false;
      log.error(
        { err: error, daemon: name },
        'a former daemon cannot be recovered; it waits for the next start',
      );
    }
  }
  return isDone;
}

/** Tells of what is set aside in the log alone. */
function quarantineOf(spoolDir: string, log: Logger): Quarantine {
  return new Quarantine(spoolDir, (item) => {
    const { code, message } = new ReelayError('spool_unreadable', { value: item.path });
    log.error({ ...item, code }, message);
  });
}

async function* recoverOne(
  path: string,
  home: Omit<RecordingHome, 'checkpointPath' | 'synced'> & { readonly quarantine: Quarantine },
  log: Logger,
): AsyncGenerator<void, number, void> {
  makeFolders(path, home.quarantine);
  const [journalDir, checkpoints] = [join(path, journalFolder), join(path, checkpointFolder)];
  if (existsSync(journalDir)) await secureJournal(journalDir);
  if (existsSync(checkpoints)) await syncFolder(checkpoints);
  const isDamaged = yield* isJournalDamaged(path, log);
  const { recordings, journal } = yield* openJournal(path, { ...home, isDamaged }, log, true);
  const interrupted = recordings.live.length;
  recordings.finish('process_ended');
  await recordings.settled();
  journal.close();
  // Audio that nobody can place is still audio: it stays until a person has looked at it.
  if (recordings.strays > 0)
    home.quarantine.setAside(path, 'it holds audio of calls whose beginning is missing');
  else await removeRecovered(path, home.quarantine);
  return interrupted;
}

/** What stands where the journal or the checkpoints of a daemon should be. */
function makeFolders(path: string, quarantine: Quarantine): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const isOurs = entry.name === journalFolder || entry.name === checkpointFolder;
    if (isOurs && !entry.isDirectory()) quarantine.setAside(join(path, entry.name), 'it is no folder');
  }
}

/**
 * Looks through a journal before anything is rendered from it, because that begins the files of growing chunks anew: of a
 * journal that is damaged they may be all that is left.
 */
function* isJournalDamaged(path: string, log: Logger): Generator<void, boolean, void> {
  let isDamaged = false;
  let last = 0;
  const warn = (error: ReelayError): void => {
    if (error.code === 'journal_torn') log.warn({ code: error.code }, error.message);
    else isDamaged = true;
  };
  const journal = new Journal(join(path, journalFolder));
  for (const batch of journal.replay(warn, undefined, true)) {
    isDamaged ||= batch.isAfterHole && !batch.isAfterTear;
    ({ last } = batch);
    yield;
  }
  const checkpoints = readCheckpoints(join(path, checkpointFolder), () => (isDamaged = true));
  // A segment that was begun after the checkpoint, and lost whole with the power, tells no sequence.
  if (last === 0 && !journal.isEmpty) return isDamaged;
  return isDamaged || checkpoints.some(({ recording, sequence }) => recording !== null && sequence > last);
}

const segment = /^\d{8}\.journal$/;
const checkpoint = /\.checkpoint(?:\.tmp)?$/;

/** A checkpoint that can't be written would be tried again for ever, and everything behind it would wait. */
function clearTemporaries(folder: string, quarantine: Quarantine | undefined): void {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.name.endsWith('.tmp') && checkpoint.test(entry.name) && !entry.isFile())
      quarantine?.setAside(join(folder, entry.name), 'it is not a plain file, as its name says');
}

/** Removes what was rendered; whatever else somebody has put there is kept. */
async function removeRecovered(path: string, quarantine: Quarantine): Promise<void> {
  const remove = async (folder: string, pattern: RegExp): Promise<void> => {
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (pattern.test(entry.name) && !entry.isDirectory()) await unlink(join(folder, entry.name));
    await syncFolder(folder);
    if (readdirSync(folder).length === 0) rmdirSync(folder);
  };
  // The journal goes first: without the checkpoints, which tell what is finished, it would be rendered once more.
  await remove(join(path, journalFolder), segment);
  await remove(join(path, checkpointFolder), checkpoint);
  const adopted = join(path, adoptedFolder);
  if (existsSync(adopted) && readdirSync(adopted).length === 0) rmdirSync(adopted);
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isSocket()) unlinkSync(join(path, entry.name));
  if (readdirSync(path).length === 0) rmdirSync(path);
  else quarantine.setAside(path, 'it holds what no daemon has put there');
}
