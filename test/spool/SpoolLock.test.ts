import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { DaemonFolder } from '../../src/spool/DaemonFolder.js';
import { Neighbour } from '../../src/spool/Neighbour.js';
import type { HandOver, LockOwner } from '../../src/spool/SpoolLock.js';

/** Renames there and back, some 20 µs each. */
const folderTurns = 50_000;

// Locks and those who ask keep no process running.
const running = setInterval(() => undefined, 1000);
t.teardown(() => clearInterval(running));

/** A socket's path may have 108 bytes, and a test's own folder has more. */
function shortDir(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'lock-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A daemon's main thread as others see it. */
class Owner implements LockOwner {
  state: LockOwner['state'] = 'running';
  readonly ports = [8080, 8081];
  handedOver = 0;
  control: Promise<void> = Promise.resolve();

  handOver(): HandOver {
    this.state = 'draining';
    this.handedOver++;
    return { media: Promise.resolve(), control: this.control };
  }
}

async function held(t: Test): Promise<{ spool: string; folder: DaemonFolder; owner: Owner }> {
  const spool = shortDir(t);
  const folder = await DaemonFolder.claim(spool);
  const owner = new Owner();
  folder.owner = owner;
  t.teardown(() => folder.release());
  return { spool, folder, owner };
}

/** A connection that says something, and what comes back until it ends. */
async function guest(folder: DaemonFolder, text: string): Promise<{ socket: Socket; heard: () => string }> {
  const socket = connect(join(folder.path, 'lock'));
  let heard = '';
  socket.on('data', (data) => (heard += data.toString()));
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  if (text !== '') socket.write(text);
  return { socket, heard: () => heard };
}

await t.test('a daemon that runs keeps its spool; one that ends, or may be asked to, is met', async (t) => {
  const { spool, folder, owner } = await held(t);
  await t.rejects(DaemonFolder.claim(spool), { code: 'spool_locked' });
  const taker = await DaemonFolder.claim(spool, { takeOver: true });
  t.equal(taker.neighbours[0]?.path, folder.path);
  t.equal(owner.handedOver, 0, 'nobody was asked to do anything yet');
  await taker.release();
  owner.state = 'draining';
  const next = await DaemonFolder.claim(spool);
  const [neighbour] = next.neighbours;
  t.same(await neighbour?.ask(), { state: 'draining', ports: [8080, 8081] });
  await next.release();
});

await t.test('ports are handed over one by one, and the end is noticed', async (t) => {
  const { folder, owner } = await held(t);
  let free: () => void = () => undefined;
  owner.control = new Promise((resolve) => (free = resolve));
  const neighbour = await Neighbour.meet(folder.path);
  const given = await neighbour?.handOver();
  let isFree = false;
  const control = given?.control.then(() => (isFree = true));
  t.same(await (await Neighbour.meet(folder.path))?.ask(), { state: 'draining', ports: [8080, 8081] });
  t.notOk(isFree, 'the control port takes longer');
  free();
  await control;
  t.equal(owner.handedOver, 1);
  await folder.release();
  await neighbour?.gone;
  t.equal(await Neighbour.meet(folder.path), null);
});

await t.test('one that starts is no neighbour, whatever is asked of it', async (t) => {
  const spool = shortDir(t);
  const folder = await DaemonFolder.claim(spool);
  t.teardown(() => folder.release());
  await t.rejects(DaemonFolder.claim(spool, { takeOver: true }), {
    code: 'spool_locked',
    message: /starting/,
  });
  const { socket, heard } = await guest(folder, 'hand over\n');
  await once(socket, 'close');
  t.equal(heard(), '', 'there is nothing to hand over');
});

await t.test('a lock that says nothing, as before there were questions, is a daemon that runs', async (t) => {
  const spool = shortDir(t);
  const path = join(spool, '.reelay', 'former');
  mkdirSync(path, { recursive: true });
  const former = createServer((socket) => socket.destroy()).listen(join(path, 'lock'));
  await once(former, 'listening');
  t.teardown(() => former.close());
  await t.rejects(DaemonFolder.claim(spool, { takeOver: true }), {
    code: 'spool_locked',
    message: /version/,
  });
});

await t.test('guests that misbehave are shown the door, and nobody else notices', async (t) => {
  const { folder, owner } = await held(t);
  const asks = 'state\n'.repeat(17);
  for (const text of ['hand over please\n', 'x'.repeat(33), '\0\n', 'GET / HTTP/1.1\r\n\r\n', '\n', asks]) {
    const { socket } = await guest(folder, text);
    await once(socket, 'close');
  }
  t.equal(owner.handedOver, 0);
  const silent = await guest(folder, '');
  await once(silent.socket, 'close');
  const crowd = await Promise.all(Array.from({ length: 100 }, () => guest(folder, 'state\n')));
  const neighbour = await Neighbour.meet(folder.path);
  t.same(await neighbour?.ask(), { state: 'running', ports: [8080, 8081] }, 'a crowd keeps nobody out');
  for (const { socket } of crowd) socket.destroy();
  neighbour?.leave();
});

await t.test('only the user that the daemon runs as may ask', async (t) => {
  const { folder } = await held(t);
  t.equal(statSync(join(folder.path, 'lock')).mode & 0o777, 0o600);
});

await t.test('a daemon that takes its folder away while it is looked for is gone', async (t) => {
  const within = join(shortDir(t), 'x'.repeat(100));
  const folder = await DaemonFolder.claim(within);
  t.teardown(() => folder.release());
  // The path is too long for a socket, so there are two looks at it, and the folder must go between them.
  const flicker = `
    const { renameSync } = require('node:fs');
    const { workerData: path } = require('node:worker_threads');
    for (let turn = 0; turn < ${folderTurns}; turn++) {
      renameSync(path, path + '~');
      renameSync(path + '~', path);
    }`;
  const worker = new Worker(flicker, { eval: true, workerData: folder.path });
  const over = new AbortController();
  worker.once('exit', () => over.abort());
  const met = { there: 0, gone: 0 };
  while (!over.signal.aborted) {
    const neighbour = await Neighbour.meet(folder.path);
    met[neighbour === null ? 'gone' : 'there']++;
    neighbour?.leave();
  }
  t.ok(met.there > 0 && met.gone > 0, `it was there ${met.there} times and gone ${met.gone} times`);
});
