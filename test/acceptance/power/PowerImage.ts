import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { samplesOf, channelOf } from '../../../src/audio/pcm.js';
import { readWavHeader, wavHeaderBytes, wholeHeaderBytes } from '../../../src/audio/wav.js';
import { verdictOn } from '../../../src/cli/verify.js';
import type { Manifest } from '../../../src/spool/Manifest.js';
import { RecordingFolder, recordingsById } from '../../../src/spool/RecordingFolder.js';
import { DaemonProcess } from '../DaemonProcess.js';
import { eventually } from '../eventually.js';
import { pathsIn, type Tree } from './DiskModel.js';
import type { HeardCall } from './HeardCall.js';
import { optionsFor, type PowerRecording } from './PowerRecording.js';

/** What a start after a loss of power came to. */
export interface ImageReport {
  /** Of calls that were up: how old the first audio is that is missing, ms; 0 where none is. */
  readonly missedMs: readonly number[];
  readonly recordings: number;
  readonly problems: readonly string[];
}

/** What anybody may warn about after a loss of power: the journal ends in the middle of a batch. */
const expectedCodes: readonly unknown[] = ['journal_torn', 'account_open'];
/** Looks at a spool that is being stored, 25 ms apart: each chunk takes several syncs, and a disk that others use may take 0.1 s for each. */
const patientLooks = 4000;
/** While the recorder's thread is replaced, audio waits in memory, ms. */
const replacementMs = 2500;

/** A disk as a loss of power may have left it, and the daemon that starts on it. */
export class PowerImage {
  readonly #recording: PowerRecording;
  readonly #atMs: number;
  readonly #dir: string;
  readonly #problems: string[] = [];

  /** @param atMs - when the power was lost, ms of `performance.now()` */
  constructor(recording: PowerRecording, atMs: number, tree: Tree, dir: string) {
    this.#recording = recording;
    this.#atMs = atMs;
    this.#dir = dir;
    this.#lay(tree);
  }

  /** Starts the daemon, waits until it has stored everything, and looks for what is missing. */
  async judge(): Promise<ImageReport> {
    const confirmed = this.#stored();
    const daemon = DaemonProcess.prepare(optionsFor(this.#recording.layout, this.#dir, undefined));
    const missedMs: number[] = [];
    try {
      await daemon.restart();
      await eventually(
        'recovery is over',
        () => this.#left('spool/.reelay', /^spool\/.reelay\/[^/]+\/adopted\/[^/]+\/$/).length === 0,
      );
      await eventually('the spool is empty', () => this.#spooled().length === 0, { attempts: patientLooks });
      await daemon.kill('SIGKILL');
      for (const call of this.#recording.calls) missedMs.push(await this.#missed(call));
      this.#judgeStore(confirmed);
    } catch (error) {
      this.#problems.push((error as Error).message, ...this.#spooled().map((path) => `left: ${path}`));
    } finally {
      await daemon.kill('SIGKILL');
    }
    for (const path of this.#left('spool/.reelay', /quarantine\/.|\.damaged/))
      this.#problems.push(`put aside: ${path}`);
    for (const line of daemon.logged(40))
      if (!expectedCodes.includes(line['code'])) this.#problems.push(`logged: ${JSON.stringify(line)}`);
    const recordings = missedMs.filter((ms) => !Number.isNaN(ms)).length;
    return { missedMs: missedMs.filter((ms) => ms >= 0), recordings, problems: this.#problems };
  }

  async remove(): Promise<void> {
    await rm(this.#dir, { recursive: true, force: true });
  }

  #lay(tree: Tree): void {
    mkdirSync(this.#dir, { recursive: true });
    for (const [path, content] of pathsIn(tree)) {
      const target = join(this.#dir, path);
      if (content === null) mkdirSync(target, { recursive: true });
      else writeFileSync(target, path.includes('upload.json') ? this.#moved(content) : content);
    }
  }

  /** The note names the store by its path, which has to be the one in this folder. */
  #moved(content: Buffer): Buffer {
    const [from, to] = [this.#recording.dir, this.#dir].map((dir) => basename(dir));
    if (from?.length !== to?.length || dirname(this.#dir) !== dirname(this.#recording.dir))
      throw new Error('an image lies beside its recording, under a name as long');
    return Buffer.from(content.toString('latin1').replaceAll(`/${from}/`, `/${to}/`), 'latin1');
  }

  /** How old the first missing audio of a call was, ms; 0 if nothing is missing, NaN where there is no recording. */
  async #missed(call: HeardCall): Promise<number> {
    const { boundMs, faultMs } = this.#recording;
    const cutMs = Math.min(this.#atMs, call.cutMs);
    const isReplacing = cutMs > faultMs && cutMs < faultMs + replacementMs;
    const allowedMs = boundMs + (isReplacing ? replacementMs : 0);
    const say = (problem: string) => this.#problems.push(`${call.callId}: ${problem}`);
    if (call.beganMs > cutMs) return NaN;
    const found = await recordingsById(call.callId, [join(this.#dir, 'recordings')]);
    const [folder] = found;
    if (found.length > 1) say(`${found.length} recordings`);
    if (folder === undefined) {
      const ageMs = cutMs - call.beganMs;
      if (ageMs > allowedMs) say(`no recording, begun ${ageMs.toFixed(0)} ms before`);
      return isReplacing ? NaN : ageMs;
    }
    const { manifest, channels } = await readAudio(folder);
    for (const { code, where, detail } of (await verdictOn(folder)).findings)
      say(`verify: ${code} ${where} ${detail}`);
    const isOver = call.endedMs < cutMs - allowedMs;
    const isUp = call.endedMs > cutMs;
    const states = isOver ? ['complete'] : isUp ? ['interrupted'] : ['complete', 'interrupted'];
    if (!states.includes(manifest.state)) say(`${manifest.state} (${manifest.reason})`);
    let samples = 0;
    try {
      samples = call.samplesIn(channels);
    } catch (error) {
      say((error as Error).message);
    }
    const missedMs = samples < call.saidBy(cutMs) ? cutMs - call.saidMs(samples) : 0;
    if (missedMs > allowedMs) say(`what was said ${missedMs.toFixed(0)} ms before is missing`);
    return isReplacing ? NaN : missedMs;
  }

  /** Objects that the store had when the power came back, with the number of their file: it changes when they are put again. */
  #stored(): Map<string, number> {
    const noted = new Set(this.#notedObjects());
    const paths = this.#left('recordings', /[^/]$/).filter((path) => noted.has(path));
    return new Map(paths.map((path) => [path, statSync(join(this.#dir, path)).ino]));
  }

  /** What the notes in the spool say is stored. */
  *#notedObjects(): Generator<string> {
    for (const path of this.#left('spool', /\/upload\.json$/)) {
      const there = dirname(path).replace(/^spool/, 'recordings');
      const note = JSON.parse(readFileSync(join(this.#dir, path), 'utf8')) as {
        chunks: { index: number; sidecarStored: boolean }[];
        audio: { key: string }[];
      };
      for (const { key } of note.audio) yield `recordings/${key}`;
      for (const { index, sidecarStored } of note.chunks) {
        yield `${there}/${index}-audio.wav`;
        if (sidecarStored) yield `${there}/${index}-metadata.json`;
      }
    }
  }

  /** What was noted hasn't been stored again. */
  #judgeStore(confirmed: ReadonlyMap<string, number>): void {
    for (const [path, inode] of confirmed) {
      const found = statSync(join(this.#dir, path), { throwIfNoEntry: false })?.ino;
      if (found !== inode)
        this.#problems.push(`${path} was stored ${found === undefined ? 'and is gone' : 'again'}`);
    }
  }

  /** Files of recordings that the spool still holds, of whatever name. */
  #spooled(): string[] {
    return this.#left('spool', /[^/]$/).filter((path) => !path.startsWith('spool/.reelay/'));
  }

  #left(below: string, pattern: RegExp): string[] {
    return [...walk(this.#dir, below)].filter((path) => pattern.test(path));
  }
}

function* walk(root: string, below: string): Generator<string> {
  let entries;
  try {
    entries = readdirSync(join(root, below), { withFileTypes: true });
  } catch {
    return;
  }
  for (const entry of entries) {
    const path = `${below}/${entry.name}`;
    yield entry.isDirectory() ? `${path}/` : path;
    if (entry.isDirectory()) yield* walk(root, path);
  }
}

/** The audio by channel: of the whole call where that is stored, else of its chunks. */
async function readAudio(folder: RecordingFolder): Promise<{ manifest: Manifest; channels: Int16Array[] }> {
  const manifest = (await folder.manifest())?.value;
  if (manifest === null || manifest === undefined) throw new Error(`no manifest in ${folder.paths.join()}`);
  const parts: Buffer[] = [];
  const count = manifest.channels.length;
  if ((manifest.audio ?? []).length > 0) {
    parts.push((await readWhole(folder, 'audio.wav')).subarray(wholeHeaderBytes));
  } else {
    for (const { index } of manifest.chunks) {
      const bytes = await readWhole(folder, `${index}-audio.wav`);
      const { dataBytes } = readWavHeader(bytes);
      parts.push(bytes.subarray(wavHeaderBytes, wavHeaderBytes + dataBytes));
    }
  }
  const pcm = samplesOf(Uint8Array.from(Buffer.concat(parts)));
  return { manifest, channels: manifest.channels.map((_, channel) => channelOf(pcm, channel, count)) };
}

async function readWhole(folder: RecordingFolder, name: string): Promise<Buffer> {
  const stream = await folder.open(name);
  if (stream === null) throw new Error(`${name} is missing in ${folder.paths.join()}`);
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}
