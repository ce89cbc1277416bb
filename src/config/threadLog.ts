import { setTimeout as sleep } from 'node:timers/promises';
import { pino, type Logger } from 'pino';
import type { Config } from './Config.js';
import { stdoutLines } from './StdoutLines.js';

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
  return pino({ level, base: { thread } }, stdoutLines());
}

/** Resolves when the lines so far are written; soon in any case. */
export async function lastLines(log: Logger): Promise<void> {
  const written = new Promise((resolve) => log.flush(resolve));
  await Promise.race([written, sleep(lastLinesMs)]);
}
