import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { catalogueAt } from '../../src/catalogue/catalogueAt.js';
import { recordingsById } from '../../src/spool/RecordingFolder.js';
import { databases } from '../catalogue/fixtures/catalogues.js';
import { DaemonProcess, type ListedRecording } from './DaemonProcess.js';
import { eventually } from './eventually.js';
import { NumberedCall } from './NumberedCall.js';

/** A short call to its end; resolves when its recording lies in the store. */
async function stored(daemon: DaemonProcess): Promise<string> {
  const call = new NumberedCall({
    url: daemon.media('/record/aws_s3'),
    accountSid: 'AC1',
    callSid: randomUUID(),
    seed: 1,
    sampleRate: 8000,
    seconds: 3,
    speed: 10,
  });
  await call.speak();
  const { callSid } = call.options;
  await eventually(
    'it is stored',
    async () => (await recordingsById(callSid, [daemon.storeDir])).length === 1,
  );
  await eventually('the spool is empty', async () => (await daemon.spooled()).length === 0);
  return callSid;
}

async function listed(daemon: DaemonProcess): Promise<string[]> {
  return linesOf(await daemon.recordings());
}

function linesOf(recordings: readonly ListedRecording[]): string[] {
  return recordings.map(({ callId, state }) => `${callId} ${state}`).sort();
}

/** Waits until the list is this, whatever it says before. */
async function lists(daemon: DaemonProcess, wanted: readonly string[]): Promise<void> {
  const expected = wanted.map((callId) => `${callId} complete`).sort();
  await eventually('the list is whole', async () => {
    // Its thread may be away, too.
    const response = await daemon.get('/v1/recordings?limit=1000').catch(() => null);
    if (response?.ok !== true) return false;
    const { recordings } = (await response.json()) as { recordings: ListedRecording[] };
    return linesOf(recordings).join() === expected.join();
  });
}

async function startIn(t: Test, dir: string, url?: string): Promise<DaemonProcess> {
  const config: Record<string, Record<string, unknown>> = { recordEndpoint: { layout: 'chunks' } };
  if (url !== undefined) config['catalogue'] = { url };
  const accounts = [{ id: 'AC1', resumeSeconds: 0 }];
  const daemon = await DaemonProcess.start({
    dir,
    accounts,
    config,
    // Threads are broken on purpose.
    env: { REELAY_FAULTS: '1' },
  });
  t.teardown(() => daemon.kill());
  return daemon;
}

void t.test(
  'calls are recorded and stored while the file is another process’s, and listed when it is back',
  async (t) => {
    const dir = join(t.testdir(), 'daemon');
    mkdirSync(dir);
    const holder = catalogueAt(`sqlite:${join(dir, 'reelay.db')}`);
    await holder.open();
    const daemon = await startIn(t, dir);
    const first = await stored(daemon);
    const refused = await daemon.get('/v1/recordings');
    t.equal(refused.status, 503);
    t.match(await refused.json(), { code: 'catalogue_unavailable' });
    t.equal(
      (await daemon.get(`/v1/recordings/${randomUUID()}`)).status,
      503,
      'nothing is said not to be there',
    );
    t.equal(await daemon.metric('reelay_catalogue_up'), 0);
    t.equal(await daemon.metric('reelay_catalogue_waiting_entries'), 1);
    await holder.close();
    await lists(daemon, [first]);
    t.equal(await daemon.metric('reelay_catalogue_up'), 1);
  },
);

void t.test(
  'a killed daemon’s successor, and one whose file was deleted, list what they listed before',
  async (t) => {
    const dir = join(t.testdir(), 'daemon');
    const daemon = await startIn(t, dir);
    const calls = [await stored(daemon), await stored(daemon)];
    await lists(daemon, calls);
    await daemon.kill('SIGKILL');
    await daemon.restart();
    t.strictSame(await listed(daemon), calls.map((callId) => `${callId} complete`).sort(), 'at once');
    await daemon.fault('control', 'exit');
    await eventually('control works again', async () => (await daemon.threads())['control'] === 'ready');
    await lists(daemon, calls);
    await daemon.kill('SIGTERM');
    rmSync(join(dir, 'reelay.db'));
    await daemon.restart();
    await lists(daemon, calls);
    t.strictSame(
      daemon.logged(40).filter(({ code }) => String(code).startsWith('catalogue')),
      [],
    );
  },
);

void t.test(
  'while the catalogue is away and the daemon is killed, the next one finds what was stored meanwhile',
  async (t) => {
    const dir = join(t.testdir(), 'daemon');
    const daemon = await startIn(t, dir);
    const before = await stored(daemon);
    await lists(daemon, [before]);
    await daemon.kill('SIGTERM');
    const holder = catalogueAt(`sqlite:${join(dir, 'reelay.db')}`);
    await holder.open();
    await daemon.restart();
    const meanwhile = await stored(daemon);
    await daemon.kill('SIGKILL');
    await holder.close();
    await daemon.restart();
    await lists(daemon, [before, meanwhile]);
  },
);

/** Everything that goes to the database goes through it, until it is cut. */
class Wire {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #target: URL;
  isCut = false;

  constructor(target: URL) {
    this.#target = target;
    this.#server = createServer((near) => {
      if (this.isCut) near.destroy();
      else this.#join(near, connect(Number(this.#target.port), this.#target.hostname));
    });
  }

  /** @returns the URL of the near end */
  async open(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const near = new URL(this.#target);
    near.port = String((this.#server.address() as { port: number }).port);
    return near.href;
  }

  cut(): void {
    this.isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #join(near: Socket, far: Socket): void {
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.once('close', () => this.#sockets.delete(socket));
    }
    near.pipe(far).pipe(near);
  }
}

for (const kind of databases.filter(({ name }) => name === 'postgres'))
  void t.test('calls go on while the database server is away, and its writes catch up', async (t) => {
    const wire = new Wire(new URL(await kind.place(t)));
    const url = await wire.open();
    t.teardown(() => wire.close());
    const dir = t.testdir();
    const daemon = await startIn(t, join(dir, 'one'), url);
    const first = await stored(daemon);
    await lists(daemon, [first]);
    wire.cut();
    const second = await stored(daemon);
    await eventually(
      'it is seen to be away',
      async () => (await daemon.get('/v1/recordings')).status === 503,
    );
    const third = await stored(daemon);
    wire.isCut = false;
    await lists(daemon, [first, second, third]);
    const other = await startIn(t, join(dir, 'other'), url);
    await lists(other, [first, second, third]);
    const fourth = await stored(other);
    await lists(daemon, [first, second, third, fourth]);
    await daemon.kill('SIGTERM');
    await other.kill('SIGTERM');
  });
