import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { TwilioCaller } from '../../src/simulators/TwilioCaller.js';
import { databases } from '../catalogue/fixtures/catalogues.js';
import { WebhookReceiver, webhookSecret } from '../fixtures/WebhookReceiver.js';
import { DaemonProcess } from './DaemonProcess.js';
import { eventually } from './eventually.js';
import { runCommand } from './runCommand.js';

/* What recordings don't say of themselves outlives every catalogue: what was deleted, what is held, what its account hasn't been told yet. */

interface Shown {
  readonly eventId: string;
  readonly state: string;
}

async function start(
  t: Test,
  dir: string,
  account: Readonly<Record<string, unknown>>,
  config: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {},
): Promise<DaemonProcess> {
  const daemon = await DaemonProcess.start({
    dir,
    chunkSeconds: 1,
    accounts: [{ id: 'AC1', resumeSeconds: 0, ...account }],
    config,
    env: { REELAY_FAULTS: '1', REELAY_CLOCK_SPEED: '600' },
  });
  t.teardown(() => daemon.kill());
  return daemon;
}

/** A short call to its end. @returns the id of its recording, which lies in the store */
async function recorded(daemon: DaemonProcess): Promise<string> {
  const callSid = randomUUID();
  await new TwilioCaller({ url: daemon.media('/twilio'), accountSid: 'AC1', callSid, seconds: 1.5 }).call();
  return await eventually('it is stored', async () => {
    const [one] = await daemon.recordings(`&callId=${callSid}`);
    return one?.state === 'complete' && one.recordingId;
  });
}

async function eventsOf(daemon: DaemonProcess, recordingId: string): Promise<Shown[]> {
  return (await daemon.json<{ deliveries: Shown[] }>(`/v1/recordings/${recordingId}/events`)).deliveries;
}

async function status(daemon: DaemonProcess, method: string, path: string): Promise<number> {
  const response = await daemon.ask(method, path);
  await response.arrayBuffer();
  return response.status;
}

void t.test('the file of the catalogue is deleted, and reindex brings back all of it', async (t) => {
  const receiver = await WebhookReceiver.start(t);
  receiver.answer = (response: ServerResponse) => void response.writeHead(503).end();
  const dir = join(t.testdir(), 'daemon');
  const daemon = await start(t, dir, { webhooks: [{ url: receiver.url, secret: webhookSecret }] });
  const [plain, held, gone] = [await recorded(daemon), await recorded(daemon), await recorded(daemon)];
  const path = (id: string, rest = ''): string => `/v1/recordings/${id}${rest}`;
  t.equal((await daemon.ask('PUT', path(held, '/hold'), { note: 'case 12' })).status, 200);
  const events = await eventually('all is to be told', async () => {
    const found = await Promise.all([plain, held].map((id) => eventsOf(daemon, id)));
    return found.every((of) => of.at(-1)?.eventId.endsWith('_completed')) && found;
  });
  t.equal(await status(daemon, 'DELETE', path(gone)), 200);
  const outbox = join(daemon.storeDir, '_reelay', 'AC1', 'outbox');
  await eventually('it lies in the store, too', async () => {
    const names = await readdir(outbox).catch(() => []);
    return events.flat().every(({ eventId }) => names.some((name) => name.startsWith(eventId)));
  });
  const listed = await daemon.recordings();
  await daemon.kill('SIGTERM');
  for (const name of await readdir(dir)) if (name.startsWith('reelay.db')) rmSync(join(dir, name));
  const { code, out } = await runCommand('reindex', '--config', join(dir, 'reelay.json'));
  t.equal(code, 0);
  t.match(out, /in stores +2\n/);
  await daemon.restart();
  t.same(await daemon.recordings(), listed, 'the same list');
  t.equal(await status(daemon, 'GET', path(gone)), 410, 'what was deleted is known to be');
  t.equal(await status(daemon, 'GET', path(gone, '/audio.wav')), 410);
  t.equal(await status(daemon, 'GET', path(randomUUID())), 404);
  t.match(await daemon.json(path(held, '/hold')), { note: 'case 12' });
  t.equal(await status(daemon, 'DELETE', path(held)), 409, 'what is held stays');
  for (const [at, id] of [plain, held].entries())
    t.match(
      await eventsOf(daemon, id),
      events[at]?.map(({ eventId }) => ({ eventId, state: 'waiting' })),
      'what wasn’t told waits',
    );
  t.same(receiver.taken, []);
  receiver.answer = (response: ServerResponse) => void response.writeHead(204).end();
  for (const [at, id] of [plain, held].entries()) {
    const names = events[at]?.map(({ eventId }) => eventId) ?? [];
    const told = (): string[] => [
      ...new Set(receiver.taken.filter((each) => each.recordingId === id).map((each) => each.id)),
    ];
    await eventually('it is told', () => told().length === names.length);
    t.same(told(), names, 'in order');
  }
  t.same(receiver.problems, []);
  await eventually('nothing is left in the store', async () => (await readdir(outbox)).length === 0);
});

for (const kind of databases.filter(({ name }) => name === 'postgres'))
  void t.test('two daemons over one database know what the other has deleted and holds', async (t) => {
    const dir = t.testdir();
    const store = { store: { type: 'file', dir: join(dir, 'recordings') } };
    const config = { catalogue: { url: await kind.place(t) } };
    const one = await start(t, join(dir, 'one'), store, config);
    const other = await start(t, join(dir, 'other'), store, config);
    const [gone, held] = [await recorded(one), await recorded(one)];
    t.equal(await status(other, 'GET', `/v1/recordings/${gone}`), 200);
    t.equal(await status(other, 'DELETE', `/v1/recordings/${gone}`), 200);
    t.equal(await status(one, 'GET', `/v1/recordings/${gone}`), 410);
    t.equal(await status(one, 'GET', `/v1/recordings/${gone}/audio.wav`), 410);
    t.equal(await status(one, 'PUT', `/v1/recordings/${held}/hold`), 200);
    t.equal(await status(other, 'DELETE', `/v1/recordings/${held}`), 409);
    await one.kill('SIGTERM');
    await other.kill('SIGTERM');
  });
