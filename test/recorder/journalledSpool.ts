import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { Journal } from '../../src/recorder/Journal.js';
import { openJournal } from '../../src/recorder/JournalReader.js';
import { recordingFolder } from '../../src/spool/layout.js';
import type { Manifest, Sidecar } from '../../src/spool/Manifest.js';
import type { CallFacts, TapRecord } from '../../src/tap/TapRecord.js';
import { encodeRecords } from './encodeRecords.js';

const log = pino({ level: 'silent' });

/** A spool with the journal of one daemon, and what was sealed from it. */
export interface Spool {
  readonly spoolDir: string;
  readonly daemonDir: string;
  readonly sealed: Sidecar[];
}

/** Writes records into a journal, so many at a time, as a recorder that was then killed. */
export async function journalOf(
  daemonDir: string,
  records: readonly TapRecord[],
  batch: number,
): Promise<void> {
  const journal = new Journal(join(daemonDir, 'journal'), 200_000);
  for (let i = 0; i < records.length; i += batch) {
    const part = records.slice(i, i + batch);
    journal.append([encodeRecords(part)], part[0]?.sequence ?? 0, part.at(-1)?.sequence ?? 0);
    await journal.sync();
  }
  journal.close();
}

export function homeOf({ spoolDir, sealed }: Spool): Parameters<typeof openJournal>[1] {
  return {
    spoolDir,
    run: (job) => job(),
    started: () => undefined,
    sealed: (_, sidecar) => sealed.push(sidecar),
    ended: () => undefined,
    failed: (_, error) => {
      throw error;
    },
  };
}

export function spoolIn(dir: string, name: string): Spool {
  return { spoolDir: join(dir, name), daemonDir: join(dir, name, '.reelay', 'd'), sealed: [] };
}

/** Opens the journal as a successor would and ends what is live. */
export async function render(spool: Spool, reason = 'process_ended'): Promise<void> {
  const opening = openJournal(spool.daemonDir, homeOf(spool), log);
  let step = opening.next();
  while (step.done !== true) step = opening.next();
  for (const recording of step.value.recordings.live) recording.progress();
  step.value.recordings.finish(reason);
  await step.value.recordings.settled();
  step.value.journal.close();
}

/** @param script - the call that the journal tells of */
export function folderOf(spool: Spool, script: { readonly facts: CallFacts }): string {
  return join(spool.spoolDir, recordingFolder({ ...script.facts, startMs: script.facts.wallClockMs }));
}

export function manifestIn(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Manifest;
}
