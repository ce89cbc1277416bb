import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { MemoryCatalogue } from '../../src/catalogue/MemoryCatalogue.js';
import { Library } from '../../src/control/library/Library.js';
import { openJournal } from '../../src/recorder/JournalReader.js';
import { Recorder } from '../../src/recorder/Recorder.js';
import { DaemonFolder } from '../../src/spool/DaemonFolder.js';
import { recordingFolder } from '../../src/spool/layout.js';
import type { Manifest, RecordingLayout } from '../../src/spool/Manifest.js';
import { Quarantine, type SetAside } from '../../src/spool/Quarantine.js';
import { clockOf } from '../../src/storage/Clock.js';
import { FileStore } from '../../src/storage/FileStore.js';
import { Uploader } from '../../src/storage/Uploader.js';
import { uploadSteps } from '../../src/storage/UploadStep.js';
import { createRing } from '../../src/tap/Ring.js';
import { CallScript } from '../recorder/CallScript.js';
import { encodeRecords } from '../recorder/encodeRecords.js';
import { UploadWatcher } from '../storage/fixtures/UploadWatcher.js';
import { randomFrom } from './randomFrom.js';
import { filesBelow, mutators } from './spoolMutators.js';

const log = pino({ level: 'silent' });
const accounts = ['AC-a', 'AC-b'] as const;
const layouts: readonly RecordingLayout[] = ['chunks', 'both', 'single', 'jambonz'];

/** `live`: its daemon was killed. `orphan`: and its journal is gone. `ended`: nothing is stored yet. `half`: some of it is. */
type CallState = 'live' | 'orphan' | 'ended' | 'half';
const states: readonly CallState[] = ['live', 'orphan', 'ended', 'half'];

/** What became of one spool. */
export interface FuzzCase {
  readonly seed: number;
  /** What was done to it. */
  readonly mutations: readonly string[];
  /** Things that were set aside. */
  readonly aside: number;
  readonly problems: readonly string[];
}

/** How long a start with everything that follows may take, ms, before it counts as hanging. */
const patienceMs = 60_000;

/** A spool as daemons leave it, damaged by somebody, and a daemon's parts that start on it. */
export class DamagedSpool {
  readonly #dir: string;
  readonly #seed: number;
  readonly #random: () => number;
  readonly #mutations: string[] = [];
  readonly #problems: string[] = [];
  readonly #aside: SetAside[] = [];
  #calls = 0;

  private constructor(dir: string, seed: number) {
    this.#dir = dir;
    this.#seed = seed;
    this.#random = randomFrom(seed);
  }

  /** @param dir - an empty folder for this case */
  static async run(dir: string, seed: number): Promise<FuzzCase> {
    return await new DamagedSpool(dir, seed).#run();
  }

  /** Lays the spool that case `seed` begins with, mutations included. @returns the folder of the recording that was spared */
  static async lay(dir: string, seed: number): Promise<string> {
    return await new DamagedSpool(dir, seed).#lay();
  }

  get #spoolDir(): string {
    return join(this.#dir, 'spool');
  }

  async #lay(): Promise<string> {
    mkdirSync(this.#spoolDir, { recursive: true });
    const spared = await this.#call('AC-a', 'ended', 'chunks');
    const count = 2 + Math.floor(this.#random() * 3);
    for (let call = 0; call < count; call++)
      await this.#call(accounts[call % 2] ?? 'AC-a', this.#one(states), this.#one(layouts));
    this.#unsealed = this.#notInChunks();
    const mutations = 1 + Math.floor(this.#random() * 4);
    for (let mutation = 0; mutation < mutations; mutation++) this.#mutate(spared);
    return spared;
  }

  async #run(): Promise<FuzzCase> {
    const spared = await this.#lay();
    const promised = JSON.parse(
      readFileSync(join(this.#spoolDir, spared, 'manifest.json'), 'utf8'),
    ) as Manifest;
    const before = this.#audio(this.#spoolDir);
    const journaled = this.#journaled();
    const ofA = this.#sources.get('AC-a') ?? [];
    await this.#start('first');
    this.#judgeSpared(spared, promised);
    this.#judgeBytes(before);
    this.#judgeJournals(journaled);
    this.#judgeTenant(ofA);
    const aside = this.#aside.length;
    await this.#start('second');
    if (this.#aside.length !== aside)
      this.#problems.push(`set aside at the second start: ${JSON.stringify(this.#aside.slice(aside))}`);
    return { seed: this.#seed, mutations: this.#mutations, aside, problems: this.#problems };
  }

  /** Frames that the journal alone holds, every eighth of those that are known. */
  #unsealed: Buffer[] = [];

  #notInChunks(): Buffer[] {
    const sealed = filesBelow(this.#dir).filter((path) => path.endsWith('.wav'));
    const contents = sealed.map((path) => readFileSync(path));
    const some = [...this.#sources.values()].flat().filter((_pcm, at) => at % 8 === 0);
    return some.filter((pcm) => !contents.some((each) => each.includes(pcm)));
  }

  /** Chunks of PCM by account, to be looked for where they don't belong. */
  readonly #sources = new Map<string, Buffer[]>();

  /** Records a call with the recorder's own parts. @returns its folder below the spool */
  async #call(accountId: string, state: CallState, layout: RecordingLayout): Promise<string> {
    const number = ++this.#calls;
    const recordingId = `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`;
    const script = new CallScript({
      accountId,
      callId: `CA${number}`,
      recordingId,
      layout,
      chunkSeconds: 1,
    }).stream({ amendMs: 200 });
    const frames = 90 + Math.floor(this.#random() * 90);
    for (let frame = 0; frame < frames; frame++)
      script.at((frame + 1) * 20).caller(this.#noise(accountId), frame * 20);
    if (state === 'ended' || state === 'half') script.stop().end();
    const daemonDir = join(this.#spoolDir, '.reelay', `dead-${number}`);
    await this.#record(daemonDir, script);
    if (state !== 'live') rmSync(daemonDir, { recursive: true });
    const folder = recordingFolder({ ...script.facts, startMs: script.facts.wallClockMs });
    if (state === 'half') await this.#storeSome();
    return folder;
  }

  async #record(daemonDir: string, script: CallScript): Promise<void> {
    const home: Parameters<typeof openJournal>[1] = {
      spoolDir: this.#spoolDir,
      run: (job) => job(),
      started: () => undefined,
      sealed: () => undefined,
      ended: () => undefined,
      failed: (_id, error) => this.#problems.push(`while recording: ${String(error)}`),
    };
    const opening = openJournal(daemonDir, home, log);
    let step = opening.next();
    while (step.done !== true) step = opening.next();
    const { journal, recordings } = step.value;
    const { records } = script;
    for (let at = 0; at < records.length; at += 20) {
      const some = records.slice(at, at + 20);
      const bytes = encodeRecords(some);
      journal.append([bytes], some[0]?.sequence ?? 0, some.at(-1)?.sequence ?? 0);
      recordings.apply(bytes);
      recordings.progress();
      // As a daemon does: what comes next says how much was safe from a loss of power.
      await journal.sync();
    }
    await recordings.settled();
    journal.close();
  }

  /** Stores everything that is over, up to a random step. */
  async #storeSome(): Promise<void> {
    const at = this.#one(uploadSteps);
    let left = 1 + Math.floor(this.#random() * 3);
    let isOver = false;
    const step = (name: string): void => {
      if (name === at && --left === 0) isOver = true;
      if (isOver) throw new Error('crash');
    };
    const { observer } = new UploadWatcher();
    const uploader = new Uploader({
      spoolDir: this.#spoolDir,
      storeOf: (accountId) => Promise.resolve(this.#store(accountId)),
      observer: { ...observer, step },
      clock: clockOf(1000),
      leastPartBytes: 16_384,
      // The first recording is to be whole when it is looked at.
      owns: (folder) => basename(folder).endsWith(String(this.#calls)),
    });
    await uploader.wakeAll();
    await uploader.idle();
    await uploader.stop();
  }

  #store(accountId: string): FileStore {
    return new FileStore(join(this.#dir, `store-${accountId}`));
  }

  /** Adopts, recovers, mends, lists and stores, as a daemon does. */
  async #start(turn: string): Promise<void> {
    const late = sleep(patienceMs, 'late', { ref: false });
    const outcome = await Promise.race([this.#daemon(), late]).catch((error: unknown) =>
      error instanceof Error ? (error.stack ?? error.message) : String(error),
    );
    if (outcome !== undefined) this.#problems.push(`${turn} start: ${outcome}`);
  }

  async #daemon(): Promise<undefined> {
    const spoolDir = this.#spoolDir;
    const folder = await DaemonFolder.claim(spoolDir);
    const recorder = new Recorder({
      rings: [createRing(1 << 20)],
      spoolDir,
      daemonDir: folder.path,
      flushMs: 20,
      syncMs: 100,
      log,
      announce: (event) => event.type === 'setAside' && this.#aside.push(event.item),
      beat: () => undefined,
    });
    recorder.start();
    const stores = { of: (accountId: string) => Promise.resolve(this.#store(accountId)) };
    const library = new Library(new MemoryCatalogue(), spoolDir, stores);
    await library.scanSpool();
    const { entries } = await library.list({ limit: 1000 });
    for (const entry of entries) await library.manifest(entry);
    await recorder.recover();
    const { observer } = new UploadWatcher();
    const uploader = new Uploader({
      spoolDir,
      storeOf: (accountId) => Promise.resolve(this.#store(accountId)),
      observer,
      clock: clockOf(1000),
      leastPartBytes: 16_384,
      quarantine: new Quarantine(spoolDir, (item) => this.#aside.push(item)),
    });
    await uploader.wakeAll();
    await uploader.idle();
    await uploader.stop();
    if (await recorder.stop()) folder.forget();
    await folder.release();
    return undefined;
  }

  #judgeSpared(folder: string, promised: Manifest): void {
    const stored = join(this.#dir, 'store-AC-a', folder);
    const path = join(stored, 'manifest.json');
    if (!existsSync(path)) {
      this.#problems.push('the recording beside it is not stored');
      return;
    }
    const found = JSON.parse(readFileSync(path, 'utf8')) as Manifest;
    if (found.state !== 'complete') this.#problems.push(`the recording beside it is ${found.state}`);
    for (const { index, sha256 } of promised.chunks)
      if (sumOf(readFileSync(join(stored, `${index}-audio.wav`))) !== sha256)
        this.#problems.push(`the recording beside it has another chunk ${index}`);
  }

  /** Whatever audio lay there lies somewhere: in a file as it was, or its samples in another. */
  #judgeBytes(before: ReadonlyMap<string, Buffer>): void {
    const now = this.#audio(this.#dir);
    const contents = [...now.values()];
    const sums = new Set(contents.map(sumOf));
    for (const [path, bytes] of before) {
      // Frames of two channels; what is no frame any more is no audio.
      const pcm = bytes.subarray(44, 44 + Math.floor(Math.max(0, bytes.length - 44) / 4) * 4);
      const isThere = sums.has(sumOf(bytes)) || contents.some((each) => each.includes(pcm));
      if (!isThere) this.#problems.push(`gone: ${bytes.length} bytes of ${relative(this.#dir, path)}`);
    }
  }

  /** Of frames that lie whole in a journal, and lay in no sealed chunk before anything was damaged, a sample: as they are recorded. */
  #journaled(): Buffer[] {
    const files = filesBelow(join(this.#spoolDir, '.reelay')).filter((path) => path.endsWith('.journal'));
    const journals = files.map((path) => readFileSync(path));
    const whole = journals.map(wholeBatches);
    return this.#unsealed.filter((pcm) => whole.some((journal) => journal.includes(callerOf(pcm))));
  }

  /** Each of them is in a recording, or in a journal that was set aside. */
  #judgeJournals(journaled: readonly Buffer[]): void {
    const contents = filesBelow(this.#dir).map((path) => readFileSync(path));
    const gone = journaled.filter(
      (pcm) => !contents.some((each) => each.includes(pcm) || each.includes(callerOf(pcm))),
    );
    if (gone.length > 0)
      this.#problems.push(`gone: ${gone.length} of ${journaled.length} frames that a journal held`);
  }

  #judgeTenant(ofA: readonly Buffer[]): void {
    const store = join(this.#dir, 'store-AC-b');
    for (const [path, bytes] of this.#audio(store)) {
      if (ofA.some((pcm) => bytes.includes(pcm)))
        this.#problems.push(`audio of AC-a in ${relative(this.#dir, path)}`);
    }
    for (const path of filesBelow(store)) {
      const text = path.endsWith('.json') ? readFileSync(path, 'utf8') : '';
      if (text.includes('"AC-a"')) this.#problems.push(`AC-a is named in ${relative(this.#dir, path)}`);
    }
  }

  /** Sealed audio, and growing audio that no journal holds. */
  #audio(dir: string): Map<string, Buffer> {
    const journaled = new Set<string>();
    const daemons = join(this.#spoolDir, '.reelay');
    if (dir === this.#spoolDir && existsSync(daemons))
      for (const name of readdirSync(daemons)) journaled.add(name.replace('dead-', ''));
    const isJournaled = (path: string) =>
      path.endsWith('.open') && [...journaled].some((each) => dirname(path).endsWith(each));
    const paths = filesBelow(dir).filter((path) => path.includes('.wav') && !isJournaled(path));
    return new Map(paths.map((path) => [path, readFileSync(path)]));
  }

  #noise(accountId: string): Int16Array {
    const pcm = new Int16Array(160);
    for (let at = 0; at < pcm.length; at++) pcm[at] = 1 + Math.floor(this.#random() * 30_000);
    const sources = this.#sources.get(accountId) ?? [];
    // As it lies in a file of two channels, the bot silent.
    const stereo = new Int16Array(320);
    for (let at = 0; at < pcm.length; at++) stereo[at * 2] = pcm[at] ?? 0;
    if (sources.length < 400) sources.push(Buffer.from(stereo.buffer));
    this.#sources.set(accountId, sources);
    return pcm;
  }

  #one<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)] as T;
  }

  #mutate(spared: string): void {
    const files = filesBelow(this.#spoolDir).filter((path) => !path.includes(spared));
    if (files.length === 0) return;
    const file = this.#one(files);
    const other = this.#one(files);
    const [name, mutate] = this.#one(Object.entries(mutators));
    this.#mutations.push(`${name} ${relative(this.#spoolDir, file)}`);
    try {
      mutate({ spoolDir: this.#spoolDir, file, other, random: this.#random, number: this.#mutations.length });
    } catch (error) {
      // What was done before may have left nothing to do it to.
      this.#mutations.push(`in vain: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
    }
  }
}

/** The caller's side of a frame, as the journal has it. */
function callerOf(stereo: Buffer): Buffer {
  const mono = Buffer.alloc(stereo.length / 2);
  for (let at = 0; at < mono.length; at += 2) mono.writeInt16LE(stereo.readInt16LE(at * 2), at);
  return mono;
}

/** A journal without its last two batches: of those nothing behind them says that they were ever safe from a loss of power. */
function wholeBatches(journal: Buffer): Buffer {
  const last = Math.max(0, journal.lastIndexOf('RJ0'));
  return journal.subarray(0, Math.max(0, journal.lastIndexOf('RJ0', last - 1)));
}

function sumOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
