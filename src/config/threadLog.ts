import { createWriteStream, type WriteStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino, type Logger } from 'pino';
import type { Config } from './Config.js';

/** Lines that may wait for a reader of stdout that doesn't read, bytes; later ones are dropped. */
const maxWaitingBytes = 1024 * 1024;
/** How long the end of the process waits for its last lines, ms. */
const lastLinesMs = 500;

/**
 * The log of one thread: JSON lines on stdout. Whoever reads them may stop at any time, and the disk that they are written
 * to may fill up; neither may hold up or end the thread, so a line is never waited for, and one that can't be written is
 * lost. (pino's own destination keeps all of them, and throws in whichever thread it fails.)
 */
export function threadLog(
  thread: 'media' | 'recorder' | 'control',
  level: Config['log']['level'] = 'info',
): Logger {
  return pino({ level, base: { thread } }, new Stdout());
}

/** Resolves when the lines so far are written; soon in any case. */
export async function lastLines(log: Logger): Promise<void> {
  const written = new Promise((resolve) => log.flush(resolve));
  await Promise.race([written, sleep(lastLinesMs)]);
}

class Stdout {
  #stream = this.#open();

  write(line: string): void {
    if (this.#stream.writableLength < maxWaitingBytes) this.#stream.write(line);
  }

  flush(written: () => void): void {
    this.#stream.write('', () => written());
  }

  /** A stream that failed is done for, so the next line gets a new one. */
  #open(): WriteStream {
    return createWriteStream('', { fd: 1, autoClose: false }).on(
      'error',
      () => (this.#stream = this.#open()),
    );
  }
}
