import type { ServerResponse } from 'node:http';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import type { Delivery } from '../../src/catalogue/Delivery.js';
import { MemoryOutbox } from '../../src/catalogue/MemoryOutbox.js';
import type { AccountConfig } from '../../src/config/Config.js';
import type { RecordingEvent } from '../../src/control/events/RecordingEvents.js';
import { Webhooks, type WebhooksOptions } from '../../src/control/events/Webhooks.js';
import type { Manifest } from '../../src/spool/Manifest.js';
import { clockOf } from '../../src/storage/Clock.js';
import { account } from '../relay/fixtures/Relay.js';
import { eventually } from '../acceptance/eventually.js';
import { until } from '../relay/fixtures/until.js';
import { fabricateRecording } from '../fixtures/recording.js';
import { WebhookReceiver as Receiver, webhookSecret as secret } from '../fixtures/WebhookReceiver.js';

/* Events on their way to a real receiver, which is asked by the reference library whether it may believe them. */

const speed = 3600;

async function manifestOf(t: Test, recordingId: string): Promise<Manifest> {
  return (await fabricateRecording(t.testdir({}), { accountId: 'AC1', recordingId })).manifest;
}

function webhooksTo(urls: readonly string[], options: Partial<WebhooksOptions> = {}): Webhooks {
  const webhooks = urls.map((url) => ({ url, secret, events: null }));
  const known: AccountConfig = account({ id: 'AC1', webhooks });
  const startMs = Date.now();
  return new Webhooks({
    outbox: new MemoryOutbox(),
    find: (accountId) => Promise.resolve(accountId === 'AC1' ? known : undefined),
    clock: clockOf(speed),
    nowMs: () => startMs + (Date.now() - startMs) * speed,
    keep: () => Promise.resolve(),
    letGo: () => Promise.resolve(),
    tried: () => undefined,
    log: pino({ level: 'silent' }),
    ...options,
  });
}

/** All that happens to a call of three chunks. */
function lifeOf(manifest: Manifest): RecordingEvent[] {
  return [
    { type: 'recording.started', manifest },
    ...[0, 1, 2].map((chunk) => ({ type: 'recording.chunk.stored', manifest, chunk }) as const),
    { type: 'recording.completed', manifest },
  ];
}

const inOrder = [
  'recording.started',
  ...Array<string>(3).fill('recording.chunk.stored'),
  'recording.completed',
];

await t.test('an account is told what happens to its recordings, signed and in order', async (t) => {
  const receiver = await Receiver.start(t);
  const webhooks = webhooksTo([receiver.url]);
  webhooks.start();
  t.teardown(() => webhooks.stop());
  const manifest = await manifestOf(t, 'r1');
  for (const event of lifeOf(manifest)) webhooks.tell(event);
  webhooks.tell({
    type: 'recording.started',
    manifest: { ...manifest, accountId: 'AC2', recordingId: 'r2' },
  });
  await until(() => receiver.taken.length === 5, 'all events');
  t.same(receiver.problems, []);
  t.same(
    receiver.taken.map(({ type }) => type),
    inOrder,
  );
  t.same(
    receiver.taken.map(({ id }) => id),
    [
      'msg_r1_started',
      'msg_r1_chunk_stored_0',
      'msg_r1_chunk_stored_1',
      'msg_r1_chunk_stored_2',
      'msg_r1_completed',
    ],
  );
  const facts = JSON.parse(JSON.stringify({ ...manifest, chunks: undefined })) as object;
  t.same(receiver.taken[0]?.data, facts, 'the manifest without its chunks');
  t.same(receiver.taken[2]?.data, { ...facts, chunk: 1 });
});

await t.test('a receiver that is down for an hour gets everything when it is back, in order', async (t) => {
  const receiver = await Receiver.start(t);
  let downs = 0;
  const kinds = [
    (response: ServerResponse) => void response.writeHead(503).end('not now'),
    (response: ServerResponse) => void response.destroy(),
    (response: ServerResponse) => void response.writeHead(302, { location: '/elsewhere' }).end(),
  ];
  receiver.answer = (response) => kinds[downs++ % kinds.length]?.(response);
  const kept = new Set<string>();
  const keep = ({ eventId }: Delivery) => Promise.resolve(void kept.add(eventId));
  const letGo = ({ eventId }: Delivery) => Promise.resolve(void kept.delete(eventId));
  const webhooks = webhooksTo([receiver.url], { keep, letGo });
  webhooks.start();
  t.teardown(() => webhooks.stop());
  const names = ['r1', 'r2', 'r3', 'r4'];
  const lives = await Promise.all(names.map(async (name) => lifeOf(await manifestOf(t, name))));
  for (let step = 0; step < inOrder.length; step++)
    for (const life of lives) {
      const event = life[step];
      if (event !== undefined) webhooks.tell(event);
    }
  const beganMs = Date.now();
  await until(
    () => Date.now() - beganMs > 3_600_000 / speed && downs >= 12,
    'an hour, as the daemon sees it',
  );
  t.same(receiver.taken, []);
  t.same(
    [...new Set(receiver.asked)].sort(),
    names.map((name) => `msg_${name}_started`),
    'only the first of each was tried',
  );
  await until(() => kept.size === 20, 'what waits behind it is kept, too');
  receiver.answer = (response) => void response.writeHead(200).end('thanks');
  await until(() => new Set(receiver.taken.map(({ id }) => id)).size === 20, 'all of it');
  t.same(receiver.problems, []);
  for (const name of names) {
    const mine = receiver.taken.filter(({ recordingId }) => recordingId === name).map(({ type }) => type);
    t.same(mine, inOrder, name);
  }
  await until(() => kept.size === 0, 'nothing is kept elsewhere');
});

await t.test('one endpoint that doesn’t answer keeps no other waiting', async (t) => {
  const deaf = await Receiver.start(t);
  deaf.answer = () => undefined;
  const receiver = await Receiver.start(t);
  const webhooks = webhooksTo([deaf.url, receiver.url]);
  webhooks.start();
  for (const event of lifeOf(await manifestOf(t, 'r1'))) webhooks.tell(event);
  await until(() => deaf.requests > 0, 'the other one to be tried');
  await until(() => receiver.taken.length === 5, 'all events');
  t.equal(deaf.requests, 1);
});

await t.test(
  'what is told twice, or by two daemons, is delivered once; what is replayed, again',
  async (t) => {
    const receiver = await Receiver.start(t);
    const outbox = new MemoryOutbox();
    // In real time: who has claimed a delivery keeps it for a minute, which is long for a machine that does other work.
    const inTime = { outbox, clock: clockOf(), nowMs: Date.now };
    const both = [webhooksTo([receiver.url], inTime), webhooksTo([receiver.url], inTime)];
    const life = lifeOf(await manifestOf(t, 'r1'));
    for (const webhooks of both) {
      for (const event of life) webhooks.tell(event);
      webhooks.start();
      t.teardown(() => webhooks.stop());
    }
    await until(() => receiver.taken.length >= 5, 'all events');
    for (const event of life) both[0]?.tell(event);
    await both[0]?.replay((await outbox.deliveriesOf('r1')).slice(1, 3));
    await until(() => receiver.taken.length >= 7, 'two of them again');
    t.same(
      receiver.taken.slice(0, 5).map(({ type }) => type),
      inOrder,
    );
    t.same(
      receiver.taken.slice(5).map(({ id }) => id),
      ['msg_r1_chunk_stored_0', 'msg_r1_chunk_stored_1'],
    );
  },
);

await t.test('an event is given up after three days, and those behind it go on', async (t) => {
  const receiver = await Receiver.start(t);
  receiver.answer = (response) => void response.writeHead(500).end();
  const outbox = new MemoryOutbox();
  let lateMs = 0;
  const webhooks = webhooksTo([receiver.url], { outbox, nowMs: () => Date.now() + lateMs });
  webhooks.start();
  t.teardown(() => webhooks.stop());
  const manifest = await manifestOf(t, 'r1');
  webhooks.tell({ type: 'recording.started', manifest });
  await until(() => receiver.requests === 1, 'the first try');
  lateMs = 3 * 86_400_000 + 60_000;
  webhooks.tell({ type: 'recording.completed', manifest });
  await eventually('patience ends', async () => (await outbox.deliveriesOf('r1'))[0]?.state === 'givenUp');
  receiver.answer = (response) => void response.writeHead(200).end();
  await until(() => receiver.taken.length === 1, 'the next one');
  t.match(receiver.taken, [{ type: 'recording.completed' }]);
});
