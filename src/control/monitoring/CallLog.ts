import { createReadStream } from 'node:fs';
import { appendFile, lstat, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Counters, ThreadName } from '../../tap/Counters.js';

export interface CallLogOptions {
  /** Folder of the two files. */
  readonly dir: string;
  /** Of each of them, at most; bytes. */
  readonly mostBytes: number;
  /** Of lines that were lost on their way here. */
  readonly counters: Counters;
}

/** What is kept about one recording. */
export interface KeptLines {
  /** Parsed, in the order in which they were kept: the newest, if there are too many. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  /** Older ones that were left out. */
  readonly leftOut: number;
  /** When the oldest line was logged that is kept of any recording, ms since the Unix epoch; null when none is. */
  readonly sinceMs: number | null;
}

/** Of each file where the spool has room enough, and the share of the spool's budget that it takes at most; bytes. */
const usualBytes = 16 * 1024 * 1024;
const share = 1 / 64;

/** How large each of the two files may become. @param spoolBytes - what the spool may hold */
export function callLogBytes(spoolBytes: number): number {
  return Math.min(usualBytes, Math.floor(spoolBytes * share));
}

/** Lines that are given out of one recording. */
const mostLines = 5000;
/** How long a line waits for others before it is written, ms, and how much may wait for the disk, characters. */
const writeMs = 200;
const mostWaiting = 1024 * 1024;
/** Read at once, bytes: other answers of this thread come in between. */
const pieceBytes = 256 * 1024;
const feed = 0x0a;

/**
 * The last log lines about recordings, of all threads, in two files: one that is written to, and the one before. It is lossy on purpose:
 * nobody waits for it, and what finds no room is dropped and counted. Several daemons on one spool write to the same files.
 */
export class CallLog {
  readonly #options: CallLogOptions;
  readonly #current: string;
  readonly #former: string;
  #waiting: string[] = [];
  #waitingCharacters = 0;
  /** Nothing has been written yet by this one. */
  #isFirst = true;
  #writing: Promise<void> = Promise.resolve();
  #soon: NodeJS.Timeout | null = null;
  #mayWrite = false;
  #dropped = 0;

  constructor(options: CallLogOptions) {
    this.#options = options;
    this.#current = join(options.dir, 'calls.jsonl');
    this.#former = join(options.dir, 'calls.1.jsonl');
  }

  /** Lines about recordings that were lost, by the thread that lost them. */
  get lost(): Readonly<Record<ThreadName, number>> {
    const { counters } = this.#options;
    const [media, recorder] = [counters.get('mediaLinesDropped'), counters.get('recorderLinesDropped')];
    return { media, recorder, control: this.#dropped };
  }

  /** The folder is there and may be written to. */
  start(): void {
    this.#mayWrite = true;
    this.#plan();
  }

  /** @param lines - JSON, each with its line feed. Never throws, and nobody waits for it */
  take(lines: readonly string[]): void {
    for (const line of lines) {
      if (this.#waitingCharacters + line.length > mostWaiting) {
        this.#dropped++;
        continue;
      }
      this.#waiting.push(line);
      this.#waitingCharacters += line.length;
    }
    this.#plan();
  }

  /** Writes what waits. Never rejects. */
  async flush(): Promise<void> {
    this.#write();
    await this.#writing;
  }

  /** @throws the file system's error */
  async linesOf(recordingId: string): Promise<KeptLines> {
    await this.flush();
    const found: Readonly<Record<string, unknown>>[] = [];
    let leftOut = 0;
    let sinceMs: number | null = null;
    const wanted = Buffer.from(`"recordingId":${JSON.stringify(recordingId)}`);
    for (const file of [this.#former, this.#current]) {
      for await (const lines of linesIn(file)) {
        sinceMs ??= timeOf(lines);
        // Most pieces hold none, and cost no more than this.
        if (!lines.includes(wanted)) continue;
        for (const text of lines.toString().split('\n')) {
          const line = text.includes(recordingId) ? parsed(text) : null;
          if (line?.['recordingId'] === recordingId) found.push(line);
        }
        leftOut += found.splice(0, found.length - mostLines).length;
      }
    }
    return { lines: found, leftOut, sinceMs };
  }

  #plan(): void {
    if (!this.#mayWrite || this.#waiting.length === 0) return;
    this.#soon ??= setTimeout(() => this.#write(), writeMs).unref();
  }

  #write(): void {
    if (this.#soon !== null) clearTimeout(this.#soon);
    this.#soon = null;
    if (!this.#mayWrite || this.#waiting.length === 0) return;
    this.#writing = this.#writing.then(async () => {
      const lines = this.#waiting;
      this.#waiting = [];
      this.#waitingCharacters = 0;
      await this.#append(lines.join('')).catch(() => (this.#dropped += lines.length));
    });
  }

  async #append(text: string): Promise<void> {
    if (text === '') return;
    let bytes = await sizeOf(this.#current);
    if (bytes > 0 && bytes + Buffer.byteLength(text) > this.#options.mostBytes) {
      await rename(this.#current, this.#former);
      bytes = 0;
    }
    // A crash may have cut off the last line that is there.
    await appendFile(this.#current, this.#isFirst && bytes > 0 ? `\n${text}` : text);
    this.#isFirst = false;
  }
}

/** 0 where there is none. @throws the file system's error; an error for what is no plain file, which might never be opened */
async function sizeOf(file: string): Promise<number> {
  const found = await lstat(file).catch(unlessMissing);
  if (found?.isFile() === false) throw new Error('it is no plain file');
  return found?.size ?? 0;
}

function unlessMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  return undefined;
}

/** Whole lines of a file, many at once; what a crash has cut off at its end belongs to the last ones. None where there is no file. */
async function* linesIn(file: string): AsyncGenerator<Buffer> {
  if ((await sizeOf(file)) === 0) return;
  let rest = Buffer.alloc(0);
  try {
    const pieces = createReadStream(file, { highWaterMark: pieceBytes }) as AsyncIterable<Buffer>;
    for await (const piece of pieces) {
      const end = piece.lastIndexOf(feed) + 1;
      if (end > 0) yield Buffer.concat([rest, piece.subarray(0, end)]);
      rest = end > 0 ? Buffer.from(piece.subarray(end)) : Buffer.concat([rest, piece]);
      if (rest.length > mostWaiting) rest = Buffer.alloc(0);
    }
  } catch (error) {
    unlessMissing(error);
  }
  if (rest.length > 0) yield rest;
}

/** When the first of some lines was logged that says so. */
function timeOf(lines: Buffer): number | null {
  const [first = ''] = lines.subarray(0, pieceBytes).toString().split('\n', 1);
  const time = parsed(first)?.['time'];
  return typeof time === 'number' ? time : null;
}

/** A line that a crash has cut isn't one. */
function parsed(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
