import { openSync, writeSync } from 'node:fs';
import { isMainThread, workerData } from 'node:worker_threads';
import { lowerPriority } from '../../src/config/threadPriority.js';

/** Sleep between two looks at the clock, ms. */
export const tickMs = 10;

/** Delays within so long are added up, ms. */
export const windowMs = 200;

/** As far behind as the recorder's thread stands. */
const niceness = 2;

if (!isMainThread) {
  const { worst, file } = workerData as { readonly worst?: SharedArrayBuffer; readonly file?: string };
  if (worst !== undefined) watch(new Float64Array(worst), file);
}

function watch(worst: Float64Array, path: string | undefined): void {
  const file = path === undefined ? null : openSync(path, 'w');
  const page = new Uint8Array(4096);
  let pages = 0;
  lowerPriority(niceness);
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  const late: { readonly atMs: number; readonly ms: number }[] = [];
  for (let before = performance.now(); ;) {
    Atomics.wait(nobody, 0, 0, tickMs);
    if (file !== null) writeSync(file, page, 0, page.length, (pages++ % 1024) * page.length);
    const now = performance.now();
    const ms = now - before - tickMs;
    worst[0] = Math.max(worst[0] ?? 0, ms);
    late.push({ atMs: now, ms });
    while ((late[0]?.atMs ?? now) < now - windowMs) late.shift();
    const together = late.reduce((sum, each) => sum + each.ms, 0);
    worst[1] = Math.max(worst[1] ?? 0, together);
    before = now;
  }
}
