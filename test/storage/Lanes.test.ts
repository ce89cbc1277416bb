import t from 'tap';
import { Lanes, type Urgency } from '../../src/storage/Lanes.js';

/** Jobs that end when they are told to. */
class Jobs {
  readonly begun: string[] = [];
  readonly #ends = new Map<string, () => void>();

  readonly run = async (job: string): Promise<void> => {
    this.begun.push(job);
    await new Promise<void>((resolve) => this.#ends.set(job, resolve));
  };

  /** Resolves when the lane has let the next one in. */
  async end(job: string): Promise<void> {
    this.#ends.get(job)?.();
    this.#ends.delete(job);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function lanesOf(jobs: Jobs, limits = { width: 1, sleepers: 1 }) {
  const lanes = new Lanes(limits, jobs.run);
  const add = (names: readonly string[], urgency: Urgency) => {
    for (const name of names) lanes.add('a', name, urgency);
  };
  return { lanes, add };
}

void t.test('urgent jobs and others take turns', async (t) => {
  const jobs = new Jobs();
  const { lanes, add } = lanesOf(jobs);
  add(['old1', 'old2', 'old3'], 'backlog');
  add(['new1', 'new2'], 'live');
  for (let done = 0; done < 5; done++) await jobs.end(jobs.begun.at(-1) ?? '');
  t.strictSame(jobs.begun, ['old1', 'old2', 'new1', 'old3', 'new2']);
  await lanes.idle();
});

void t.test('a job that becomes urgent moves up, and runs once', async (t) => {
  const jobs = new Jobs();
  const { lanes, add } = lanesOf(jobs);
  add(['one', 'two', 'three', 'four'], 'backlog');
  add(['four'], 'live');
  add(['four'], 'backlog');
  for (let done = 0; done < 4; done++) await jobs.end(jobs.begun.at(-1) ?? '');
  t.strictSame(jobs.begun, ['one', 'two', 'four', 'three']);
  await lanes.idle();
});

void t.test('asked for while it runs, a job runs once more', async (t) => {
  const jobs = new Jobs();
  const { lanes, add } = lanesOf(jobs);
  add(['one'], 'live');
  add(['one'], 'live');
  add(['one'], 'backlog');
  await jobs.end('one');
  t.ok(lanes.running === 1);
  await jobs.end('one');
  await lanes.idle();
  t.strictSame(jobs.begun, ['one', 'one']);
});

void t.test(
  'a sleeper gives its place away and gets one back; one sleeper too many keeps its own',
  async (t) => {
    const jobs = new Jobs();
    const { lanes, add } = lanesOf(jobs);
    add(['one', 'two', 'three'], 'backlog');
    t.equal(lanes.leave('a'), true);
    t.strictSame(jobs.begun, ['one', 'two']);
    t.equal(lanes.leave('a'), false);
    let isBack = false;
    const back = lanes.return('a').then(() => (isBack = true));
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(isBack, false, 'the place is taken');
    await jobs.end('two');
    await back;
    t.strictSame(jobs.begun, ['one', 'two'], 'who was there before comes before who waits');
    await jobs.end('one');
    await jobs.end('three');
    await lanes.idle();
  },
);

void t.test('a full lane holds up no other', async (t) => {
  const jobs = new Jobs();
  const { lanes } = lanesOf(jobs);
  lanes.add('a', 'one', 'live');
  lanes.add('a', 'two', 'live');
  lanes.add('b', 'three', 'backlog');
  t.strictSame(jobs.begun, ['one', 'three']);
  for (const job of ['one', 'three', 'two']) await jobs.end(job);
  await lanes.idle();
  t.equal(lanes.running, 0);
});
