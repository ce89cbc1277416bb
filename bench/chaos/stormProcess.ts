/* The clients of the download storm, away from the processes that are measured and behind them in the queue for the processors. */
import { request, type ClientRequest } from 'node:http';
import { setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StormOrder, StormReport } from './DownloadStorm.js';

const pollMs = 100;
const underWay = new Set<ClientRequest>();
let { bytes, downloads, polls, refused } = nothing();
/** So much has come when it is told that the storm is under way, bytes. */
const underWayBytes = 2 ** 20;
let isTold = false;
/** What belongs to a storm that is over ends by itself. */
let storm: StormOrder | null = null;

setPriority(10);
process.on('message', (order: StormOrder | 'stop') => {
  if (order === 'stop') stop();
  else begin(order);
});
process.once('disconnect', () => process.exit());
process.send?.('ready');

function begin(order: StormOrder): void {
  storm = order;
  isTold = false;
  for (let client = 0; client < order.clients; client += 1) void download(order);
  for (const path of order.polled) void poll(order, path);
}

function stop(): void {
  storm = null;
  for (const asked of underWay) asked.destroy();
  process.send?.({ bytes, downloads, polls, refused } satisfies StormReport);
  ({ bytes, downloads, polls, refused } = nothing());
}

function nothing(): { bytes: number; downloads: number; polls: number; refused: Record<string, number> } {
  return { bytes: 0, downloads: 0, polls: 0, refused: {} };
}

async function download(order: StormOrder): Promise<void> {
  while (storm === order) {
    if (await got(order, order.path, (size) => (bytes += size))) downloads += 1;
    else await sleep(pollMs);
  }
}

async function poll(order: StormOrder, path: string): Promise<void> {
  while (storm === order) {
    if (await got(order, path, () => undefined)) polls += 1;
    await sleep(pollMs);
  }
}

/** @returns whether the whole answer came, with status 200 */
async function got(order: StormOrder, path: string, count: (size: number) => void): Promise<boolean> {
  return await new Promise((resolve) => {
    tellOnce(order);
    const asked = request({ host: '127.0.0.1', port: order.port, path, agent: false }, (response) => {
      const { statusCode = 0 } = response;
      if (statusCode !== 200) refuse(order, String(statusCode));
      response.on('data', (part: Buffer) => {
        count(part.length);
        tellOnce(order);
      });
      response.once('close', () => resolve(statusCode === 200 && response.complete));
      response.on('error', () => undefined);
    });
    underWay.add(asked);
    asked.once('close', () => underWay.delete(asked));
    asked.once('error', (error: NodeJS.ErrnoException) => {
      refuse(order, error.code ?? error.message);
      resolve(false);
    });
    asked.end();
  });
}

function tellOnce(order: StormOrder): void {
  if (isTold || storm !== order || bytes < underWayBytes || polls === 0) return;
  isTold = true;
  process.send?.('under way');
}

function refuse(order: StormOrder, why: string): void {
  if (storm === order) refused[why] = (refused[why] ?? 0) + 1;
}
