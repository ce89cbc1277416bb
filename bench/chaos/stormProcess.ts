/* The clients of the download storm, away from the processes that are measured and behind them in the queue for the processors. */
import { request } from 'node:http';
import { setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StormOrder, StormReport } from './DownloadStorm.js';

const pollMs = 100;
let [bytes, downloads, polls] = [0, 0, 0];
const refused: Record<string, number> = {};
let isOver = false;

setPriority(10);
process.once('message', (order: StormOrder) => {
  process.send?.('running');
  for (let client = 0; client < order.clients; client += 1) void download(order);
  for (const path of order.polled) void poll(order, path);
  process.once('message', () => {
    isOver = true;
    process.send?.({ bytes, downloads, polls, refused } satisfies StormReport);
  });
});
process.once('disconnect', () => process.exit());

async function download(order: StormOrder): Promise<void> {
  while (!isOver) {
    if (await got(order.port, order.path, (size) => (bytes += size))) downloads += 1;
    else await sleep(pollMs);
  }
}

async function poll({ port }: StormOrder, path: string): Promise<void> {
  while (!isOver) {
    if (await got(port, path, () => undefined)) polls += 1;
    await sleep(pollMs);
  }
}

/** @returns whether the whole answer came, with status 200 */
async function got(port: number, path: string, count: (size: number) => void): Promise<boolean> {
  return await new Promise((resolve) => {
    const asked = request({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      const { statusCode = 0 } = response;
      if (statusCode !== 200) refuse(String(statusCode));
      response.on('data', (part: Buffer) => count(part.length));
      response.once('close', () => resolve(statusCode === 200 && response.complete));
      response.on('error', () => undefined);
    });
    asked.once('error', (error: NodeJS.ErrnoException) => {
      refuse(error.code ?? error.message);
      resolve(false);
    });
    asked.end();
  });
}

function refuse(why: string): void {
  if (!isOver) refused[why] = (refused[why] ?? 0) + 1;
}
