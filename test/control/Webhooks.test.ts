import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import type { Delivery } from '../../src/catalogue/Delivery.js';
import { MemoryOutbox } from '../../src/catalogue/MemoryOutbox.js';
import type { AccountConfig } from '../../src/config/Config.js';
import { ReelayError } from '../../src/config/ReelayError.js';
import type { RecordingEvent } from '../../src/control/events/RecordingEvents.js';
import { EventJournal } from '../../src/control/events/EventJournal.js';
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

/** In a folder of its own, unless one is given. */
function journalIn(dir = mkdtempSync(join(tmpdir(), 'reelay-events-'))): EventJournal {
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return new EventJournal({ dir, log: pino({ level: 'silent' }) });
}

function webhooksTo(urls: readonly string[], options: Partial<WebhooksOptions> = {}): Webhooks {
  const webhooks = urls.map((url) => ({ url, secret, events: null }));
  const known: AccountConfig = account({ id: 'AC1', webhooks });
  const startMs = Date.now();
  return new Webhooks({
    outbox: new MemoryOutbox(),
    journal: journalIn(),
    find: (accountId) => Promise.resolve(accountId === 'AC1' ? known : undefined),
    clock: clockOf(speed),
    nowMs: () => startMs + (Date.now() - startMs) * speed,
    keep: () => Promise.resolve(),
    letGo: () => Promise.resolve(),
    tried: () => undefined,
    dropped: () => undefined,
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
  for (const event of lifeOf(manifest)) void webhooks.tell(event);
  void webhooks.tell({
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
      if (event !== undefined) void webhooks.tell(event);
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
  for (const event of lifeOf(await manifestOf(t, 'r1'))) void webhooks.tell(event);
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
      for (const event of life) void webhooks.tell(event);
      webhooks.start();
      t.teardown(() => webhooks.stop());
    }
    await until(() => receiver.taken.length >= 5, 'all events');
    for (const event of life) void both[0]?.tell(event);
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
  void webhooks.tell({ type: 'recording.started', manifest });
  await until(() => receiver.requests === 1, 'the first try');
  lateMs = 3 * 86_400_000 + 60_000;
  void webhooks.tell({ type: 'recording.completed', manifest });
  await eventually('patience ends', async () => (await outbox.deliveriesOf('r1'))[0]?.state === 'givenUp');
  receiver.answer = (response) => void response.writeHead(200).end();
  await until(() => receiver.taken.length === 1, 'the next one');
  t.match(receiver.taken, [{ type: 'recording.completed' }]);
});

/** An outbox that is away when a test says so. */
class FaultyOutbox extends MemoryOutbox {
  isAway = false;

  override async post(deliveries: readonly Delivery[]): Promise<void> {
    if (this.isAway) throw new ReelayError('catalogue_unavailable');
    await super.post(deliveries);
  }
}

await t.test(
  'an account that can’t be looked up keeps no other waiting, and gets its own later',
  async (t) => {
    const receiver = await Receiver.start(t);
    const webhooks = [{ url: receiver.url, secret, events: null }];
    let isFound = false;
    const asked: string[] = [];
    const options: Partial<WebhooksOptions> = {
      find: (accountId) => {
        asked.push(accountId);
        if (accountId === 'AC1' || isFound) return Promise.resolve(account({ id: accountId, webhooks }));
        return Promise.reject(new ReelayError('accounts_unavailable', { value: accountId }));
      },
    };
    const running = webhooksTo([], options);
    running.start();
    t.teardown(() => running.stop());
    const [mine, others] = [await manifestOf(t, 'r1'), { ...(await manifestOf(t, 'r2')), accountId: 'AC2' }];
    for (const event of lifeOf(others)) void running.tell(event);
    for (const event of lifeOf(mine)) void running.tell(event);
    await until(() => receiver.taken.length === 5, 'what is of the other account');
    t.same(new Set(receiver.taken.map(({ recordingId }) => recordingId)), new Set(['r1']));
    t.ok(asked.includes('AC2'), 'it was asked for');
    isFound = true;
    await until(() => receiver.taken.length === 10, 'the rest');
    t.same(
      receiver.taken.slice(5).map(({ type, recordingId }) => [recordingId, type]),
      inOrder.map((type) => ['r2', type]),
      'in order',
    );
  },
);

await t.test('an endpoint that hangs takes no more than its places, however much waits for it', async (t) => {
  const deaf = await Receiver.start(t);
  deaf.answer = () => undefined;
  const receiver = await Receiver.start(t);
  const at = (url: string): AccountConfig['webhooks'] => [{ url, secret, events: null }];
  const outbox = new MemoryOutbox();
  const webhooks = webhooksTo([], {
    outbox,
    // In real time: the deaf one keeps its places for the whole test.
    clock: clockOf(),
    nowMs: Date.now,
    find: (id) => Promise.resolve(account({ id, webhooks: at(id === 'AC1' ? receiver.url : deaf.url) })),
  });
  const manifest = await manifestOf(t, 'r1');
  for (let each = 0; each < 1000; each++) {
    const others = { ...manifest, accountId: 'AC2', recordingId: `o${each}` };
    void webhooks.tell({ type: 'recording.started', manifest: others });
  }
  webhooks.start();
  await until(() => deaf.requests === 4, 'the deaf one to have all its places');
  for (const event of lifeOf(manifest)) void webhooks.tell(event);
  await until(() => receiver.taken.length === 5, 'all events of the other');
  t.equal(deaf.requests, 4);
});

await t.test('what was told while the catalogue was away is told by a successor', async (t) => {
  const receiver = await Receiver.start(t);
  const dir = join(t.testdir({}), 'daemons');
  const away = new FaultyOutbox();
  away.isAway = true;
  const first = webhooksTo([receiver.url], { outbox: away, journal: journalIn(dir) });
  first.start();
  const life = lifeOf(await manifestOf(t, 'r1'));
  await Promise.all(life.map((event) => first.tell(event)));
  // As at the end of a thread or a process: nobody says goodbye.
  const second = webhooksTo([receiver.url], { journal: journalIn(dir) });
  second.start();
  t.teardown(() => second.stop());
  t.same(receiver.taken, []);
  await second.takeUp();
  await until(() => receiver.taken.length === 5, 'all events');
  t.same(
    receiver.taken.map(({ type }) => type),
    inOrder,
  );
  t.same(receiver.problems, []);
  await until(() => readdirSync(dir).length === 0, 'the journal of the first to go');
  await first.stop();
});

await t.test('whoever stops posts what was told last, or leaves it to a successor', async (t) => {
  const receiver = await Receiver.start(t);
  const dir = join(t.testdir({}), 'daemons');
  const outbox = new FaultyOutbox();
  const manifest = await manifestOf(t, 'r1');
  const first = webhooksTo([receiver.url], { outbox, journal: journalIn(dir) });
  first.start();
  void first.tell({ type: 'recording.started', manifest });
  await first.stop();
  t.match(await outbox.deliveriesOf('r1'), [{ type: 'recording.started' }]);
  t.same(readdirSync(dir), [], 'nothing is left of it on the disk');
  outbox.isAway = true;
  const second = webhooksTo([receiver.url], { outbox, journal: journalIn(dir) });
  second.start();
  void second.tell({ type: 'recording.completed', manifest });
  await second.stop();
  t.equal(readdirSync(dir).length, 1);
  outbox.isAway = false;
  const third = webhooksTo([receiver.url], { outbox, journal: journalIn(dir) });
  await third.takeUp();
  third.start();
  t.teardown(() => third.stop());
  await until(() => receiver.taken.some(({ type }) => type === 'recording.completed'), 'the last one');
});
