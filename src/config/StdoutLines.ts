import { constants, createWriteStream, fstatSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { WriteStream } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const stdout = 1;
/** Lines that may wait for a reader of stdout that doesn't read, bytes; later ones are dropped. */
const maxWaitingBytes = 1024 * 1024;
/** Pause between two tries to write what waits, ms, and how much one of them writes at most, bytes. */
const retryMs = 50;
const burstBytes = 64 * 1024;

/** Takes lines for stdout and never waits for whoever reads it. */
export interface LineWriter {
  /** @param line - with its line feed */
  write(line: string): void;
  /** Calls back when the lines so far are written, or lost. */
  flush(written: () => void): void;
}

/**
 * The way to write to what stdout is. A pipe, socket or terminal may have a reader that has stopped reading; a write that blocks
 * on it would hold a thread of libuv's pool, and a process can't end while one of those is blocked, nor a worker thread while a
 * write of its own is under way. So what can be written to without blocking is; a file can't (its disk may hang all the same).
 */
export function stdoutLines(): LineWriter {
  try {
    const fd = nonBlockingStdout();
    return fd === null ? new PooledLines() : new DirectLines(fd);
  } catch {
    return new PooledLines();
  }
}

/** @returns a descriptor of stdout on which a write fails rather than blocks; null where there is none */
function nonBlockingStdout(): number | null {
  const kind = fstatSync(stdout);
  if (kind.isFile() || process.platform !== 'linux') return null;
  // A pipe or terminal is opened anew, because the flag belongs to the open file, which other processes have inherited too.
  if (!kind.isSocket()) {
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    return openSync(`/proc/self/fd/${stdout}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  }
  // A socket can't be. Node sets the flag on it when the main thread first looks at its own stream of stdout.
  if (isMainThread) Reflect.get(process, 'stdout');
  const [, flags] = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${stdout}`, 'utf8')) ?? [];
  return flags !== undefined && (parseInt(flags, 8) & constants.O_NONBLOCK) !== 0 ? stdout : null;
}

/** Writes at once, and keeps what finds no room for a later try. */
class DirectLines implements LineWriter {
  readonly #fd: number;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #flushed: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(line: string): void {
    if (this.#waitingBytes >= maxWaitingBytes) return;
    const bytes = Buffer.from(line);
    const rest = this.#waiting.length > 0 ? bytes : this.#put(bytes);
    if (rest.length > 0) this.#keep(rest);
  }

  flush(written: () => void): void {
    if (this.#waiting.length === 0) written();
    else this.#flushed.push(written);
  }

  #keep(rest: Buffer): void {
    this.#waiting.push(rest);
    this.#waitingBytes += rest.length;
    if (this.#timer === undefined) this.#timer = setTimeout(() => this.#retry(), retryMs);
  }

  /** Line by line: a pipe takes a line of up to 4096 bytes whole or not at all, whoever else writes to it. */
  #retry(): void {
    this.#timer = undefined;
    let sent = 0;
    for (;;) {
      const [first] = this.#waiting;
      if (first === undefined) break;
      const rest = this.#put(first);
      this.#waitingBytes -= first.length - rest.length;
      sent += first.length - rest.length;
      if (rest.length === 0) this.#waiting.shift();
      else this.#waiting[0] = rest;
      if (rest.length > 0 || sent >= burstBytes) break;
    }
    if (this.#waiting.length > 0) this.#timer = setTimeout(() => this.#retry(), sent > 0 ? 1 : retryMs);
    else for (const written of this.#flushed.splice(0)) written();
  }

  /** @returns what was not written; nothing when it can't be written at all */
  #put(bytes: Buffer): Buffer {
    try {
      return bytes.subarray(writeSync(this.#fd, bytes));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return code === 'EAGAIN' || code === 'EINTR' ? bytes : empty;
    }
  }
}

const empty = Buffer.alloc(0);

/** Writes in libuv's pool, one write at a time. */
class PooledLines implements LineWriter {
  #stream = this.#open();

  write(line: string): void {
    if (this.#stream.writableLength < maxWaitingBytes) this.#stream.write(line);
  }

  flush(written: () => void): void {
    this.#stream.write('', () => written());
  }

  /** A stream that failed is done for, so the next line gets a new one. */
  #open(): WriteStream {
    return createWriteStream('', { fd: stdout, autoClose: false }).on(
      'error',
      () => (this.#stream = this.#open()),
    );
  }
}
