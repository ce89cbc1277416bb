import { cpSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { pino } from 'pino';
import t from 'tap';
import { readWavHeader } from '../../src/audio/wav.js';
import { samplesOf } from '../../src/audio/pcm.js';
import { verdictOn } from '../../src/cli/verify.js';
import { openJournal, type OpenedJournal } from '../../src/recorder/JournalReader.js';
import { chunkName, recordingFolder } from '../../src/spool/layout.js';
import type { Manifest } from '../../src/spool/Manifest.js';
import { RecordingFolder } from '../../src/spool/RecordingFolder.js';
import { unreadIn } from '../../src/tap/RecordReader.js';
import { encodeRecords } from './encodeRecords.js';
import { concat, difference, renderScript } from './rendering.js';
import { roomEvent, RoomOracle } from './RoomOracle.js';
import { renderRoom, type RoomScript } from './RoomScript.js';
import { Soup, step } from './Soup.js';

/*
 * A recorder that is killed at random moments, between any two things that it does on the disk, and whose successors go on:
 * what lies there in the end must be what a recorder that nothing happened to would have written, byte for byte.
 */
const log = pino({ level: 'silent' });

/** Kills in one call; every one copies what lies on the disk. */
const mostKills = 6;

/** What happens behind a batch of records. */
type Deed = 'nothing' | 'progress' | 'turns' | 'settle' | 'kill';
const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Deed>('nothing') },
  { weight: 4, arbitrary: fc.constant<Deed>('progress') },
  { weight: 4, arbitrary: fc.constant<Deed>('turns') },
  { weight: 4, arbitrary: fc.constant<Deed>('settle') },
  { weight: 3, arbitrary: fc.constant<Deed>('kill') },
);

class Life {
  readonly dir: string;
  readonly #opened: OpenedJournal;

  constructor(dir: string) {
    this.dir = dir;
    const home: Parameters<typeof openJournal>[1] = {
      spoolDir: dir,
      run: (job) => job(),
      started: () => undefined,
      sealed: () => undefined,
      ended: () => undefined,
      failed: () => undefined,
    };
    const opening = openJournal(join(dir, '.reelay', 'd'), home, log);
    let step = opening.next();
    while (step.done !== true) step = opening.next();
    this.#opened = step.value;
  }

  /** Takes what the ring holds: everything of which the journal knows nothing yet. */
  feed(waiting: Uint8Array): void {
    const { journal, recordings } = this.#opened;
    const { pieces, first, last } = unreadIn([waiting], this.#last);
    if (pieces.length === 0) return;
    journal.append(pieces, first, last);
    for (const records of pieces) recordings.apply(records);
    this.#last = last;
  }

  progress(): void {
    const { journal, recordings } = this.#opened;
    recordings.progress();
    journal
      .release(recordings.neededAfter(this.#last) + 1)
      .then(() => recordings.forget(journal.firstSequence))
      // Its folder goes when nobody looks at it any more.
      .catch(() => undefined);
  }

  async settled(): Promise<void> {
    await this.#opened.recordings.settled();
  }

  /** The disk as it is at this moment, for a successor. This one's work goes on, but nobody looks at it. */
  copyTo(dir: string): Life {
    for (;;) {
      try {
        // Checkpoints before what they speak of: the copy takes time, in which the disk works on.
        cpSync(join(this.dir, '.reelay'), join(dir, '.reelay'), { recursive: true });
        cpSync(this.dir, dir, { recursive: true, filter: (path) => !path.includes('.reelay') });
        return new Life(dir);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        rmSync(dir, { recursive: true, force: true });
      }
    }
  }

  get #last(): number {
    return this.#opened.lastSequence + this.#fed;
  }
  set #last(sequence: number) {
    this.#fed = sequence - this.#opened.lastSequence;
  }
  #fed = 0;
}

/** Runs a call through as many lives as there are kills. @returns the folder of the finished recording */
async function liveThrough(
  dir: string,
  script: Pick<RoomScript, 'records' | 'facts'>,
  batch: number,
  deeds: readonly Deed[],
): Promise<string> {
  const past: Life[] = [];
  let life = new Life(join(dir, '0'));
  const { records } = script;
  for (let at = 0; at < records.length; at += batch) {
    life.feed(encodeRecords(records.slice(at, at + batch)));
    const next = deeds[(at / batch) % deeds.length] ?? 'nothing';
    if (next === 'progress') life.progress();
    if (next === 'turns') for (let i = 0; i < 1 + (at % 7); i++) await turn();
    if (next === 'settle') await life.settled();
    if (next !== 'kill' || past.length === mostKills) continue;
    past.push(life);
    life = life.copyTo(join(dir, String(past.length)));
    // Between journal and ring: the successor is shown once more what its predecessor wrote down.
    life.feed(encodeRecords(records.slice(Math.max(0, at - batch), at + batch)));
  }
  await Promise.all([...past, life].map((each) => each.settled()));
  const { facts } = script;
  return join(life.dir, recordingFolder({ ...facts, startMs: facts.wallClockMs }));
}

function manifestIn(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Manifest;
}

/** Throws where the second folder isn't what the first is. @returns the manifest of both */
function mustBeAlike(plain: string, folder: string): Manifest {
  const [expected, found] = [manifestIn(plain), manifestIn(folder)];
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(expected)}`);
  }
  const names = readdirSync(plain).sort().join();
  if (readdirSync(folder).sort().join() !== names)
    throw new Error(`${readdirSync(folder).join()}, not ${names}`);
  for (const name of readdirSync(plain)) {
    const same = Buffer.compare(readFileSync(join(plain, name)), readFileSync(join(folder, name))) === 0;
    if (!same) throw new Error(`${name} differs`);
  }
  return expected;
}

void t.test('killed at any moment, however often: the same files', async (t) => {
  const dir = t.testdir();
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 25 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 60 }),
      fc.array(deed, { minLength: 1, maxLength: 12 }),
      async (steps, chunkSeconds, batch, deeds) => {
        const soup = new Soup(8000, chunkSeconds);
        for (const each of steps) soup.run(each);
        const script = soup.end();
        const here = join(dir, String(run++));
        const plain = await liveThrough(join(here, 'plain'), script, 1_000_000, ['nothing']);
        const folder = await liveThrough(join(here, 'lives'), script, batch, deeds);
        const expected = mustBeAlike(plain, folder);
        const rendered = renderScript(script);
        const audio = concat(expected.chunks.map(({ index }) => pcmOf(join(folder, chunkName(index)))));
        const count = rendered.channels.length;
        rendered.channels.forEach((channel, at) => {
          const mine = audio.filter((_, i) => i % count === at);
          if (difference(mine, channel) >= 0) throw new Error(`channel ${at} is not what the journal says`);
        });
        rmSync(here, { recursive: true });
      },
    ),
    { numRuns: 12 },
  );
  t.pass('12 calls through their many lives');
});

void t.test('so it is with a room, and the files of its lanes', async (t) => {
  const dir = t.testdir();
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(roomEvent, { minLength: 5, maxLength: 15 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 60 }),
      fc.array(deed, { minLength: 1, maxLength: 12 }),
      async (events, chunkSeconds, batch, deeds) => {
        const oracle = new RoomOracle(chunkSeconds);
        for (const each of events) oracle.run(each);
        const script = oracle.end();
        const here = join(dir, String(run++));
        const plain = await liveThrough(join(here, 'plain'), script, 1_000_000, ['nothing']);
        const folder = await liveThrough(join(here, 'lives'), script, batch, deeds);
        const { chunks } = mustBeAlike(plain, folder);
        const verdict = await verdictOn(new RecordingFolder([folder]));
        if (verdict.findings.length > 0) throw new Error(JSON.stringify(verdict.findings));
        for (const [name, { pcm }] of renderRoom(script).lanes) {
          const audio = concat(
            chunks.map(({ index, samples, lanes = [] }) =>
              lanes.some(({ lane }) => lane === name)
                ? pcmOf(join(folder, chunkName(index, name)))
                : new Int16Array(samples),
            ),
          );
          if (difference(audio, pcm) >= 0) throw new Error(`${name} is not what the journal says`);
        }
        rmSync(here, { recursive: true });
      },
    ),
    { numRuns: 12 },
  );
  t.pass('12 rooms through their many lives');
});

function pcmOf(file: string): Int16Array {
  const bytes = readFileSync(file);
  const { dataOffset, dataBytes } = readWavHeader(bytes);
  return samplesOf(bytes.subarray(dataOffset, dataOffset + dataBytes));
}
