import { setTimeout as sleep } from 'node:timers/promises';
import { pino, type Logger } from 'pino';
import type { Config } from './Config.js';
import { type LineWriter, stdoutLines } from './StdoutLines.js';

/** How long the end of the process waits for its last lines, ms. */
const lastLinesMs = 500;

/**
 * A line about a call that has a recording says which; pino writes its keys in just this way. Lines about calls that were refused have
 * none, so that strangers fill nothing with them.
 */
const aboutRecording = '"recordingId":"';

/**
 * The log of one thread: JSON lines on stdout. Whoever reads them may stop at any time, and the disk that they are written
 * to may fill up; neither may hold up or end the thread, so a line is never waited for, and one that can't be written is
 * lost. (pino's own destination keeps all of them, and throws in whichever thread it fails.)
 *
 * @param aside - gets the lines about recordings, too; must neither wait nor throw
 */
export function threadLog(
  thread: 'media' | 'recorder' | 'control' | 'rooms',
  level: Config['log']['level'] = 'info',
  aside?: (line: string) => void,
): Logger {
  const lines = stdoutLines();
  if (aside === undefined) return pino({ level, base: { thread } }, lines);
  const write = (line: string): void => {
    lines.write(line);
    if (line.includes(aboutRecording)) aside(line);
  };
  const both: LineWriter = { write, flush: (written) => lines.flush(written) };
  return pino({ level, base: { thread } }, both);
}

/** Resolves when the lines so far are written; soon in any case. */
export async function lastLines(log: Logger): Promise<void> {
  const written = new Promise((resolve) => log.flush(resolve));
  await Promise.race([written, sleep(lastLinesMs)]);
}
