import { isMainThread, workerData } from 'node:worker_threads';

/** Sleep between two looks at the clock, ms. */
export const tickMs = 10;

if (!isMainThread) {
  const { worst: buffer } = workerData as { readonly worst?: SharedArrayBuffer };
  if (buffer !== undefined) watch(new Float64Array(buffer));
}

function watch(worst: Float64Array): void {
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  for (let before = performance.now(); ;) {
    Atomics.wait(nobody, 0, 0, tickMs);
    const now = performance.now();
    worst[0] = Math.max(worst[0] ?? 0, now - before - tickMs);
    before = now;
  }
}
