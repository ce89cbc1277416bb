import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

/** A line that no logger writes. */
const filler = Buffer.from(`${' '.repeat(1023)}\n`);

/** A named pipe as a daemon's stdout, whose reader may stop: it is filled at once, so that the next line already finds no room. */
export class LogPipe {
  /** What the daemon gets as its stdout. */
  readonly childEnd: number;
  readonly lines: Readable;
  readonly #fill: number;

  private constructor(childEnd: number, lines: Readable, fill: number) {
    this.childEnd = childEnd;
    this.lines = lines;
    this.#fill = fill;
  }

  static make(dir: string): LogPipe {
    const path = join(dir, 'log');
    execFileSync('mkfifo', [path]);
    const { O_RDONLY, O_WRONLY, O_NONBLOCK } = constants;
    const reader = new Socket({ fd: openSync(path, O_RDONLY | O_NONBLOCK), readable: true, writable: false });
    const childEnd = openSync(path, O_WRONLY);
    return new LogPipe(childEnd, reader, openSync(path, O_WRONLY | O_NONBLOCK));
  }

  /** Nobody reads any more, and the pipe is full. @returns bytes that it took to fill it */
  block(): number {
    this.lines.pause();
    let bytes = 0;
    try {
      for (;;) bytes += writeSync(this.#fill, filler);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
    return bytes;
  }

  unblock(): void {
    this.lines.resume();
  }

  close(): void {
    this.lines.destroy();
    for (const fd of [this.childEnd, this.#fill]) closeSync(fd);
  }
}
