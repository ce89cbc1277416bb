import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { SupervisedThread, type ThreadOptions } from '../../src/supervisor/SupervisedThread.js';

t.jobs = 6;

/**
 * A worker that beats, says that it is there, and does what it is told; `order` is its only message. It hoards in steps: what is
 * collected in vain, on a busy machine for seconds, must not pass for a thread that hangs.
 */
const obedient = `
  import { openSync } from 'node:fs';
  import { parentPort, workerData } from 'node:worker_threads';
  const heartbeat = new Int32Array(workerData.heartbeat);
  const beat = () => Atomics.add(heartbeat, 0, 1);
  beat();
  setInterval(beat, 50);
  const recurse = (depth) => 1 + recurse(depth + 1);
  const orders = {
    throw: () => { throw new Error('as ordered'); },
    exit: () => process.exit(3),
    heap: () => {
      const hoard = [];
      const more = () => {
        for (let at = 0; at < 200; at++) hoard.push(new Array(1000).fill({}));
        setImmediate(more);
      };
      more();
    },
    stack: () => recurse(0),
    hang: () => { for (;;); },
    pause: (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
    open: (path) => openSync(path, 'r'),
  };
  parentPort.on('message', ({ order, value }) => orders[order](value));
  parentPort.postMessage('here');
`;

/** A supervised thread, and what became of it so far. */
class Watched {
  readonly thread: SupervisedThread;
  readonly events: string[] = [];
  readonly lines: Record<string, unknown>[] = [];
  #heard: () => void = () => undefined;

  constructor(t: Test, code: string, options: Partial<ThreadOptions> = {}) {
    const log = pino(
      {},
      { write: (line: string) => void this.lines.push(JSON.parse(line) as object as never) },
    );
    this.thread = new SupervisedThread({
      name: 'tested',
      entry: new URL(`data:text/javascript,${encodeURIComponent(code)}`),
      data: (heartbeat) => ({ data: { heartbeat }, transfer: [] }),
      heapMiB: 96,
      onMessage: (message) => this.#note(String(message)),
      onLost: (cause) => this.#note(`lost: ${cause}`),
      onStuck: () => this.#note('stuck'),
      onTrouble: (isInTrouble) => this.#note(isInTrouble ? 'trouble' : 'well'),
      log,
      ...options,
    });
    t.teardown(() => this.thread.stop());
    this.thread.start();
  }

  order(order: string, value: unknown = null): boolean {
    return this.thread.post({ order, value });
  }

  /** Waits until this has happened so often. */
  async happened(event: string, times = 1): Promise<void> {
    while (this.count(event) < times) await new Promise<void>((resolve) => (this.#heard = resolve));
  }

  /** Waits for this loss, the first being 1: its cause. */
  async lost(nth: number): Promise<string | undefined> {
    const losses = (): string[] => this.events.filter((event) => event.startsWith('lost: '));
    while (losses().length < nth) await new Promise<void>((resolve) => (this.#heard = resolve));
    return losses()[nth - 1]?.slice('lost: '.length);
  }

  count(event: string): number {
    return this.events.filter((each) => each === event).length;
  }

  #note(event: string): void {
    this.events.push(event);
    this.#heard();
  }
}

void t.test('a thread that ends in any way is replaced, and why is told', async (t) => {
  const watched = new Watched(t, obedient);
  let lives = 1;
  for (const [order, cause] of [
    ['throw', 'error'],
    ['exit', 'exit'],
    ['stack', 'error'],
    ['heap', 'heap'],
    ['hang', 'heartbeat'],
  ] as const) {
    await watched.happened('here', lives);
    t.ok(watched.order(order));
    t.equal(await watched.lost(lives), cause);
    lives += 1;
  }
  await watched.happened('here', lives);
  await watched.happened('trouble');
  t.equal(watched.count('trouble'), 1, 'so many losses in a minute are a trouble, which is told once');
  const again = watched.lines.filter(({ msg }) => msg === 'a thread is started again');
  t.strictSame(
    again.map(({ cause, backoffMs }) => [cause, backoffMs]),
    [
      ['error', 0],
      ['exit', 50],
      ['error', 100],
      ['heap', 200],
      ['heartbeat', 400],
    ],
  );
});

void t.test('a thread that the system keeps is told of, and no other starts beside it', async (t) => {
  const fifo = join(t.testdir({}), 'fifo');
  execFileSync('mkfifo', [fifo]);
  const watched = new Watched(t, obedient);
  await watched.happened('here');
  // As on a disk that hangs: opening a pipe for reading doesn't return before somebody opens it for writing.
  watched.order('open', fifo);
  await watched.happened('stuck');
  t.strictSame(watched.events, ['here', 'lost: heartbeat', 'stuck']);
  t.ok(watched.thread.isStuck);
  t.notOk(watched.order('exit'), 'what nobody will read is not kept for it');
  await watched.happened('trouble');
  t.equal(watched.count('here'), 1);
  const warned = watched.lines.length;
  closeSync(openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK));
  await watched.happened('here', 2);
  t.notOk(watched.thread.isStuck);
  t.equal(watched.count('lost: heartbeat'), 1, 'it was lost once');
  t.ok(warned <= 4, `${warned} lines while it was stuck`);
});

void t.test('the end does not wait for a thread that the system keeps', async (t) => {
  const fifo = join(t.testdir({}), 'fifo');
  execFileSync('mkfifo', [fifo]);
  const watched = new Watched(t, obedient);
  await watched.happened('here');
  watched.order('open', fifo);
  await watched.happened('lost: heartbeat');
  t.equal(await watched.thread.stop(), false);
  closeSync(openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK));
  t.equal(await watched.thread.stop(), true);
});

void t.test('a thread that was paused together with main is not blamed for it', async (t) => {
  const watched = new Watched(t, obedient);
  await watched.happened('here');
  watched.order('pause', 3000);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);
  watched.order('exit');
  await watched.happened('lost: exit');
  t.strictSame(watched.events, ['here', 'lost: exit']);
});

/** It lets others go first, says which thread it is, and works for three seconds when it is told to. */
const humble = `
  import { readlinkSync } from 'node:fs';
  import { setPriority } from 'node:os';
  import { parentPort, workerData } from 'node:worker_threads';
  const heartbeat = new Int32Array(workerData.heartbeat);
  const [, thread] = readlinkSync('/proc/thread-self').split('/task/');
  heartbeat[1] = Number(thread);
  setPriority(heartbeat[1], 15);
  const beat = () => Atomics.add(heartbeat, 0, 1);
  beat();
  setInterval(beat, 50);
  parentPort.on('message', () => {
    const from = performance.now();
    while (performance.now() - from < 3000);
    parentPort.postMessage('worked');
  });
  parentPort.postMessage('here');
`;

void t.test('a thread that is kept from the processors is not taken for one that hangs', async (t) => {
  const watched = new Watched(t, humble);
  await watched.happened('here');
  const busy = `import { parentPort } from 'node:worker_threads'; parentPort.postMessage(''); for (;;);`;
  const burners = Array.from(
    { length: 2 * availableParallelism() },
    () => new Worker(new URL(`data:text/javascript,${encodeURIComponent(busy)}`)),
  );
  t.teardown(() => Promise.all(burners.map((burner) => burner.terminate())));
  await Promise.all(burners.map((burner) => once(burner, 'message')));
  watched.order('work');
  await watched.happened('worked');
  t.strictSame(watched.events, ['here', 'worked']);
});

void t.test('a thread that can never be loaded is tried again, less and less often', async (t) => {
  const watched = new Watched(t, `import 'node:nothing-of-that-name';`);
  await watched.happened('lost: error', 4);
  await watched.happened('trouble');
  t.equal(watched.count('trouble'), 1);
  const waits = watched.lines.flatMap(({ backoffMs }) => (typeof backoffMs === 'number' ? [backoffMs] : []));
  t.strictSame(waits.slice(0, 3), [0, 50, 100]);
});

void t.test('a thread that cannot even be started is tried again', async (t) => {
  let tries = 0;
  const data = (heartbeat: SharedArrayBuffer) => {
    tries += 1;
    return { data: { heartbeat, ...(tries < 3 ? { never: () => undefined } : {}) }, transfer: [] };
  };
  const watched = new Watched(t, obedient, { data });
  await watched.happened('here');
  t.strictSame(watched.events.slice(0, 2), ['lost: start', 'lost: start']);
  t.equal(tries, 3);
});
