import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import WebSocket from 'ws';
import { implementation, implementationReason } from '../../src/audio/kernels.js';
import { freePort } from '../fixtures/freePort.js';

const entry = fileURLToPath(new URL('../../src/cli/reelay.cjs', import.meta.url));
let served = 0;

interface Line {
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** The daemon in a process of its own, and what it logs. */
class Served {
  readonly child: ChildProcess;
  readonly lines: Line[] = [];
  readonly exited: Promise<unknown[]>;
  #heard: () => void = () => undefined;

  constructor(t: Test, config: object = {}, stdout: 'pipe' | number = 'pipe') {
    const dir = join(t.testdirName, String(++served));
    mkdirSync(dir, { recursive: true });
    const file = join(dir, 'reelay.json');
    const ports = { media: { host: '127.0.0.1', port: 0 }, control: { host: '127.0.0.1', port: 0 } };
    const accounts = [{ id: '*', store: { type: 'file', dir: 'recordings' } }];
    writeFileSync(file, JSON.stringify({ ...ports, accounts, ...config }));
    // Without the loader that the test runner puts into every child: it would be the first to use libuv's pool.
    const start = ['-u', 'NODE_OPTIONS', process.execPath, entry, 'serve', '--config', file];
    this.child = spawn('env', start, {
      cwd: dir,
      env: { ...process.env, REELAY_FAULTS: '1', UV_THREADPOOL_SIZE: undefined },
      stdio: ['ignore', stdout, 'inherit'],
    });
    this.exited = once(this.child, 'exit');
    t.teardown(() => this.child.kill('SIGKILL'));
    if (this.child.stdout === null) return;
    createInterface(this.child.stdout).on('line', (line) => {
      this.lines.push(JSON.parse(line) as Line);
      this.#heard();
    });
  }

  /** The first line that fits, now or later. */
  async line(fits: (line: Line) => boolean): Promise<Line> {
    for (;;) {
      const found = this.lines.find(fits);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => (this.#heard = resolve));
    }
  }

  async ports(): Promise<{ media: string; control: string }> {
    const { mediaPort, controlPort } = await this.line(({ msg }) => msg === 'reelay is ready');
    return { media: `127.0.0.1:${String(mediaPort)}`, control: `http://127.0.0.1:${String(controlPort)}` };
  }

  /** Breaks a thread until its successor waits this long. */
  async breakUntil(worker: 'recorder' | 'control', backoffMs: number): Promise<void> {
    const { media, control } = await this.ports();
    const body = JSON.stringify({ thread: worker, fault: 'exit' });
    const request = { method: 'POST', headers: { 'content-type': 'application/json' }, body };
    for (let next = 0; next <= backoffMs; next = Math.max(50, next * 2)) {
      await this.#ready(media, worker);
      await fetch(`${control}/v1/faults`, request);
      await this.line((line) => line['worker'] === worker && line['backoffMs'] === next);
    }
  }

  /** Asks until there is an answer that isn't an error. */
  async answered(url: string): Promise<Response> {
    for (;;) {
      const answer = await fetch(url).catch(() => undefined);
      if (answer?.ok === true) return answer;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async #ready(media: string, worker: string): Promise<void> {
    for (;;) {
      const answer = await fetch(`http://${media}/healthz`);
      const { threads } = (await answer.json()) as { threads: Record<string, string> };
      if (threads[worker] === 'ready') return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

await t.test('a log that cannot be written ends no thread', async (t) => {
  const [mediaPort, controlPort] = [await freePort(), await freePort()];
  const ports = {
    media: { host: '127.0.0.1', port: mediaPort },
    control: { host: '127.0.0.1', port: controlPort },
  };
  const full = openSync('/dev/full', 'w');
  t.teardown(() => closeSync(full));
  const daemon = new Served(t, ports, full);
  const control = `http://127.0.0.1:${controlPort}`;
  await daemon.answered(`${control}/readyz`);
  for (let call = 0; call < 3; call++) {
    const socket = new WebSocket(`ws://127.0.0.1:${mediaPort}/jambonz`);
    await once(socket, 'open');
    socket.send(JSON.stringify({ callSid: `call-${call}`, accountSid: 'a', sampleRate: 8000 }));
    socket.close();
    await once(socket, 'close');
  }
  const metrics = await (await daemon.answered(`${control}/metrics`)).text();
  t.match(metrics, 'reelay_calls_total 3');
  t.match(metrics, 'reelay_control_restarts_total 0');
  t.match(metrics, 'reelay_recorder_restarts_total 0');
  daemon.child.kill('SIGTERM');
  t.same(await daemon.exited, [0, null]);
});

await t.test('it ends although its recorder is being started again', async (t) => {
  const daemon = new Served(t);
  await daemon.breakUntil('recorder', 400);
  daemon.child.kill('SIGTERM');
  t.same(await daemon.exited, [0, null]);
});

await t.test('it ends although its control thread is being started again', async (t) => {
  const daemon = new Served(t);
  await daemon.breakUntil('control', 400);
  daemon.child.kill('SIGTERM');
  const [code] = await daemon.exited;
  t.equal(code, 75, 'nobody could say whether everything is stored');
});

await t.test('a full spool stays full while its control thread is being started again', async (t) => {
  const spool = join(t.testdirName, 'spool');
  const folder = join(spool, 'A', '20260101', 'call', 'recording');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'big'), '');
  truncateSync(join(folder, 'big'), 17 * 2 ** 20);
  const daemon = new Served(t, { spool: { dir: spool, maxBytes: '16MiB', minFreeBytes: 0 } });
  const { media } = await daemon.ports();
  await daemon.line(({ msg }) => msg === 'calls that begin now are relayed and not recorded');
  await daemon.breakUntil('control', 400);
  const socket = new WebSocket(`ws://${media}/jambonz`);
  await once(socket, 'open');
  socket.send(JSON.stringify({ callSid: 'meanwhile', accountSid: 'A', sampleRate: 8000 }));
  const started = await daemon.line(
    (line) => line['callId'] === 'meanwhile' && line.msg === 'stream started',
  );
  t.ok(started);
  t.ok(daemon.lines.some((line) => line['callId'] === 'meanwhile' && line['code'] === 'spool_full'));
  t.notOk(daemon.lines.some(({ msg }) => msg === 'calls that begin now are recorded again'));
});

await t.test('a port that is taken ends the start with the reason and 1', async (t) => {
  const first = new Served(t);
  const { media, control } = await first.ports();
  for (const [section, address] of [
    ['media', media],
    ['control', control.slice('http://'.length)],
  ] as const) {
    const second = new Served(t, { [section]: { host: '127.0.0.1', port: Number(address.split(':')[1]) } });
    t.same(await second.exited, [1, null], section);
  }
});

await t.test('file operations have enough threads to leave one to name look-ups', async (t) => {
  const daemon = new Served(t);
  await daemon.ports();
  // Main, two workers, four of V8's own; the rest is libuv's pool.
  t.ok(readdirSync(`/proc/${daemon.child.pid}/task`).length >= 16 + 7);
});

await t.test('every thread but those that move media comes behind them', async (t) => {
  const daemon = new Served(t);
  await daemon.ports();
  const folder = `/proc/${daemon.child.pid}/task`;
  const others = readdirSync(folder).filter((task) => task !== String(daemon.child.pid));
  const own = niceness(`/proc/${daemon.child.pid}`);
  const behind = others.map((task) => niceness(join(folder, task)) - own);
  t.ok(behind.length >= 16 + 6);
  const count = (wanted: number): number => behind.filter((steps) => steps === wanted).length;
  t.equal(
    count(2),
    17,
    'the recorder, which has a flush interval to keep, and the pool where its syncs wait',
  );
  const frames = others.filter((task) => isOfFrames(join(folder, task)));
  t.equal(count(0), frames.length, 'the native thread, where there is one');
  t.equal(count(10), behind.length - 17 - frames.length, 'all others');
});

await t.test(
  'the threads that move media have a short slice of time, and no other',
  { skip: withoutSlices() },
  async (t) => {
    const daemon = new Served(t);
    await daemon.ports();
    const folder = `/proc/${daemon.child.pid}/task`;
    const short = readdirSync(folder).filter((task) => slice(join(folder, task)) <= 0.1);
    const frames = readdirSync(folder).filter((task) => isOfFrames(join(folder, task)));
    t.same(short, [String(daemon.child.pid), ...frames]);
  },
);

/** Why there are none to be seen, or false. */
function withoutSlices(): string | false {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  if (major < 6 || (major === 6 && minor < 12)) return 'the kernel has one slice for everybody';
  if (!existsSync('/proc/self/sched')) return 'the kernel does not show slices';
  return implementation === 'native' ? false : `needs the addon: ${implementationReason}`;
}

/** Whether it is the native thread that moves frames. */
function isOfFrames(folder: string): boolean {
  return readFileSync(join(folder, 'comm'), 'latin1').trim() === 'reelay-frames';
}

/** What the scheduler says of a thread, ms. */
function slice(folder: string): number {
  const [, ns] = /^se\.slice\s*:\s*(\d+)/m.exec(readFileSync(join(folder, 'sched'), 'latin1')) ?? [];
  return Number(ns) / 1e6;
}

/** Field 19 of proc(5)'s `stat`; what is in parentheses may hold anything. */
function niceness(folder: string): number {
  const stat = readFileSync(join(folder, 'stat'), 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
}
