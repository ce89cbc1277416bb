import { statfs } from 'node:fs/promises';
import type { Config } from '../../config/Config.js';
import { daemonsFolder } from '../../spool/layout.js';
import type { RecordingProgress, SpoolEvent } from '../../spool/SpoolEvent.js';
import { spoolFolders } from './spoolFolders.js';

/** Bytes of a file system. */
export interface Disk {
  readonly free: number;
  readonly size: number;
}

export interface SpoolBudgetOptions {
  readonly spoolDir: string;
  /** What holds now. */
  readonly limits: () => Pick<Config['spool'], 'maxBytes' | 'minFreeBytes'>;
  /** Drops copies that are not needed; resolves with the bytes that this gave back. */
  readonly relieve: () => Promise<number>;
  /** Told once at the first measurement, then when it changes. */
  readonly changed: (isFull: boolean) => void;
  /** Default: the one that the spool lies on. */
  readonly disk?: () => Promise<Disk>;
}

/** How often what has changed is measured, ms. */
const lookMs = 1000;
/** Least time between two walks, ms, and how much longer than a walk itself it is. */
const walkMs = 30_000;
const walkShare = 100;
/** A full spool takes recordings again below this share of its budget, and above so much more than the disk's floor. */
const resumeShare = 0.95;
const resumeFree = 1.05;
/** Least time between two searches for copies while there is no room, ms. */
const reliefMs = 30_000;
/** Samples are 16 bits on two channels until a folder is measured. */
const frameBytes = 4;

/**
 * How much the spool holds, and whether there is room for more: its own bytes against `spool.maxBytes`, and the disk's against the
 * floor. A spool may hold 100 000 files, so it is walked rarely. In between only the folders that somebody named are measured,
 * and a growing chunk is known by what the recorder says every 0.5 to 2 s: 100 calls of 32 kB/s overshoot by what comes in one look
 * and one announcement, two seconds.
 */
export class SpoolBudget {
  readonly #options: SpoolBudgetOptions;
  /** Bytes of each recording's folder as it was measured. */
  readonly #measured = new Map<string, number>();
  /** Bytes that growing chunks have gained since, and how far they had come. */
  readonly #grown = new Map<string, number>();
  readonly #samples = new Map<string, number>();
  readonly #changed = new Set<string>();
  #measuredBytes = 0;
  /** Journals, checkpoints and whatever lies in no recording's folder. */
  #daemonBytes = 0;
  #otherBytes = 0;
  #disk: Disk = { free: Infinity, size: Infinity };
  #isFull: boolean | null = null;
  #nextWalk = 0;
  #nextRelief = 0;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;

  constructor(options: SpoolBudgetOptions) {
    this.#options = options;
  }

  /** Measures everything, then goes on measuring. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.look(), lookMs).unref();
    await this.look();
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#looking;
  }

  /** What the recorder announces. */
  take(event: SpoolEvent): void {
    this.#changed.add(event.folder);
    if (event.type === 'ended') this.#samples.delete(event.folder);
  }

  /** How far a live recording is. */
  progressed({ folder, samples }: RecordingProgress): void {
    const before = this.#samples.get(folder);
    this.#samples.set(folder, samples);
    // Of the first announcement nobody knows how much was measured already.
    if (before === undefined) this.#changed.add(folder);
    else this.#grown.set(folder, (this.#grown.get(folder) ?? 0) + (samples - before) * frameBytes);
  }

  /** Files were put into a recording's folder or taken out of it. */
  touched(folder: string): void {
    this.#changed.add(folder);
  }

  /** Bytes in the spool. */
  get bytes(): number {
    let bytes = this.#measuredBytes + this.#daemonBytes + this.#otherBytes;
    for (const grown of this.#grown.values()) bytes += grown;
    return Math.max(0, bytes);
  }

  /** Bytes that may still come: of the budget or of the disk, whichever is less. */
  get left(): number {
    return Math.max(0, Math.min(this.#options.limits().maxBytes - this.bytes, this.#disk.free - this.#floor));
  }

  get isFull(): boolean {
    return this.#isFull === true;
  }

  /** Measures what has changed, and everything when that is due. Asked for while it measures, it measures once. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = null));
    return this.#looking;
  }

  /** Measures everything. */
  async walk(): Promise<void> {
    const began = performance.now();
    this.#changed.clear();
    const seen = new Set<string>();
    let [daemons, others] = [0, 0];
    for await (const { folder, files } of spoolFolders(this.#options.spoolDir)) {
      const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
      if (folder === daemonsFolder || folder.startsWith(`${daemonsFolder}/`)) daemons += bytes;
      else if (isRecording(folder)) {
        this.#set(folder, bytes);
        seen.add(folder);
      } else others += bytes;
    }
    // One that came meanwhile has been named and is measured at the next look.
    for (const folder of [...this.#measured.keys()]) if (!seen.has(folder)) this.#set(folder, 0);
    [this.#daemonBytes, this.#otherBytes] = [daemons, others];
    this.#nextWalk = performance.now() + Math.max(walkMs, (performance.now() - began) * walkShare);
  }

  async #look(): Promise<void> {
    if (performance.now() >= this.#nextWalk) await this.walk();
    else await this.#measureChanged();
    this.#disk = await (this.#options.disk ?? (() => diskOf(this.#options.spoolDir)))().catch(
      () => this.#disk,
    );
    await this.#judge();
  }

  async #measureChanged(): Promise<void> {
    const changed = [...this.#changed];
    this.#changed.clear();
    for (const folder of changed) this.#set(folder, await bytesBelow(this.#options.spoolDir, folder));
    this.#daemonBytes = await bytesBelow(this.#options.spoolDir, daemonsFolder);
  }

  /** First what is needed by nobody goes; only then recordings are refused. Nothing that isn't stored is ever deleted. */
  async #judge(): Promise<void> {
    if (this.#isOver()) await this.#relieve();
    const isFull = this.#isFull === true ? !this.#hasRoomAgain() : this.#isOver();
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    this.#options.changed(isFull);
  }

  /** Copies are looked for when recordings are about to be refused, and now and then from there on. */
  async #relieve(): Promise<void> {
    if (this.isFull && performance.now() < this.#nextRelief) return;
    if ((await this.#options.relieve()) > 0) await this.walk();
    this.#nextRelief = performance.now() + reliefMs;
  }

  #isOver(): boolean {
    return this.bytes >= this.#options.limits().maxBytes || this.#disk.free <= this.#floor;
  }

  #hasRoomAgain(): boolean {
    const { maxBytes } = this.#options.limits();
    return this.bytes < maxBytes * resumeShare && this.#disk.free > this.#floor * resumeFree;
  }

  /** A floor of 0 is none: a disk that is full then is the recorder's to wait for. */
  get #floor(): number {
    const { minFreeBytes } = this.#options.limits();
    if (minFreeBytes === 0) return -1;
    return minFreeBytes ?? Math.min(2 ** 30, this.#disk.size / 20);
  }

  #set(folder: string, bytes: number): void {
    this.#grown.delete(folder);
    this.#measuredBytes += bytes - (this.#measured.get(folder) ?? 0);
    if (bytes === 0) this.#measured.delete(folder);
    else this.#measured.set(folder, bytes);
  }
}

/** `<account>/<date>/<call>/<recording>`, or a folder in it. */
function isRecording(folder: string): boolean {
  return folder.split('/').length >= 4;
}

async function bytesBelow(spoolDir: string, below: string): Promise<number> {
  let bytes = 0;
  for await (const { files } of spoolFolders(spoolDir, below))
    bytes += files.reduce((sum, file) => sum + file.bytes, 0);
  return bytes;
}

async function diskOf(dir: string): Promise<Disk> {
  const { bavail, blocks, bsize } = await statfs(dir);
  // A network's or a user's own file system may not say how large it is; that isn't the same as being full.
  if (blocks === 0) return { free: Infinity, size: Infinity };
  return { free: bavail * bsize, size: blocks * bsize };
}
