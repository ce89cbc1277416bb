import fc from 'fast-check';
import t from 'tap';
import type { Delivery } from '../../src/catalogue/Delivery.js';
import { isDelivery } from '../../src/catalogue/Delivery.js';
import { MemoryOutbox } from '../../src/catalogue/MemoryOutbox.js';
import { kinds, opened } from './fixtures/catalogues.js';
import { entry } from './fixtures/entry.js';

function delivery(recording: number, sequence: number, endpoint: number, dueMs = 1000): Delivery {
  return {
    eventId: `msg_r${recording}_${sequence}`,
    endpoint: `https://receiver${endpoint}.example/hook`,
    accountId: 'AC1',
    recordingId: `r${recording}`,
    type: 'recording.started',
    sequence,
    body: `{"type":"recording.started","data":"ä '"}`,
    createdMs: 500,
    state: 'waiting',
    tries: 0,
    dueMs,
    problem: null,
    isKept: false,
  };
}

type Step =
  | { readonly kind: 'post' | 'claim' | 'keep' | 'letGo'; readonly which: Delivery }
  | {
      readonly kind: 'settle';
      readonly which: Delivery;
      readonly state: Delivery['state'];
      readonly dueMs: number;
    }
  | { readonly kind: 'forget'; readonly ms: number };

for (const kind of kinds) {
  await t.test(`${kind.name}: whatever is done, all kinds say the same of what is due`, async (t) => {
    const which = fc
      .tuple(fc.nat(2), fc.nat(3), fc.nat(1), fc.constantFrom(1000, 2000, 3000))
      .map(([recording, sequence, endpoint, dueMs]) => delivery(recording, sequence, endpoint, dueMs));
    const step: fc.Arbitrary<Step> = fc.oneof(
      fc.record({ kind: fc.constantFrom('post', 'claim', 'keep', 'letGo'), which }),
      fc.record({
        kind: fc.constant('settle' as const),
        which,
        state: fc.constantFrom('waiting', 'delivered', 'givenUp'),
        dueMs: fc.constantFrom(1000, 2000, 3000),
      }),
      fc.record({ kind: fc.constant('forget' as const), ms: fc.constantFrom(1500, 2500) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { outbox } = await opened(t, kind);
        const model = new MemoryOutbox();
        for (const each of steps) {
          const both = await Promise.all([outbox, model].map((box) => take(box, each)));
          t.equal(both[0], both[1]);
        }
        for (const nowMs of [999, 1000, 2500, 5000]) {
          const [found, expected] = await Promise.all([outbox.due(nowMs, 100), model.due(nowMs, 100)]);
          t.strictSame(sorted(found), sorted(expected));
          const few = await outbox.due(nowMs, 2);
          t.equal(few.length, Math.min(2, expected.length));
        }
        t.equal(await outbox.nextDueMs(), await model.nextDueMs());
        for (const busy of [
          { endpoints: ['https://receiver0.example/hook'], accounts: [] },
          { endpoints: ['https://receiver0.example/hook', 'https://receiver1.example/hook'], accounts: [] },
          { endpoints: ['https://elsewhere.example/'], accounts: ['AC1', 'AC2'] },
        ]) {
          const [found, expected] = await Promise.all([
            outbox.due(5000, 100, busy),
            model.due(5000, 100, busy),
          ]);
          t.strictSame(sorted(found), sorted(expected));
          t.notOk(found.some((each) => busy.endpoints.includes(each.endpoint) || busy.accounts.length > 0));
          t.equal(await outbox.nextDueMs(busy), await model.nextDueMs(busy));
        }
        for (const id of ['r0', 'r1', 'r2'])
          t.strictSame(await outbox.deliveriesOf(id), await model.deliveriesOf(id));
      }),
      { numRuns: kind.name === 'memory' ? 5 : 25 },
    );
  });

  await t.test(`${kind.name}: one of several gets what is due`, async (t) => {
    const { outbox } = await opened(t, kind);
    const due = delivery(1, 0, 0);
    await outbox.post([due]);
    const claims = await Promise.all(Array.from({ length: 8 }, () => outbox.claim(due, 9000)));
    t.equal(claims.filter(Boolean).length, 1);
    t.strictSame(await outbox.due(8999, 10), []);
    t.match(await outbox.due(9000, 10), [{ eventId: due.eventId, dueMs: 9000 }]);
  });

  await t.test(`${kind.name}: what another account’s store says of a recording is not its own`, async (t) => {
    const { outbox } = await opened(t, kind);
    const own = delivery(1, 5, 0);
    const planted = { ...delivery(1, 1, 0), eventId: 'msg_planted', accountId: 'AC2', dueMs: 9000 };
    await outbox.post([planted, own]);
    t.strictSame(await outbox.deliveriesOf('r1', 'AC1'), [own]);
    t.strictSame(await outbox.deliveriesOf('r1', 'AC3'), []);
    t.equal((await outbox.deliveriesOf('r1')).length, 2);
    t.strictSame(await outbox.due(1000, 10), [own], 'nor does it keep the own ones waiting');
  });

  await t.test(`${kind.name}: a tombstone takes the place of its recording`, async (t) => {
    const catalogue = await opened(t, kind);
    await catalogue.write([{ entry: entry('a', 1) }, { entry: entry('b', 2) }]);
    const { accountId, callId, startTime } = entry('a', 1);
    const buried = { recordingId: 'a', accountId, callId, startTime, deletedTime: startTime, by: 'key' };
    await catalogue.bury({ ...buried, cause: 'request' });
    await catalogue.bury({ ...buried, cause: 'request' });
    t.equal(await catalogue.get('a'), undefined);
    t.strictSame(await catalogue.tombstone('a'), { ...buried, cause: 'request' });
    t.equal(await catalogue.tombstone('b'), undefined);
    const { entries } = await catalogue.list({ limit: 10 });
    t.strictSame(
      entries.map(({ recordingId }) => recordingId),
      ['b'],
    );
  });
}

await t.test('what isn’t a delivery isn’t taken for one', (t) => {
  t.ok(isDelivery(delivery(1, 2, 0)));
  for (const odd of [
    null,
    {},
    { ...delivery(1, 2, 0), endpoint: 'x' },
    { ...delivery(1, 2, 0), sequence: -1 },
  ])
    t.notOk(isDelivery(odd));
  t.end();
});

async function take(
  box: Pick<MemoryOutbox, 'post' | 'claim' | 'settle' | 'markKept' | 'forgetBefore'>,
  step: Step,
): Promise<unknown> {
  if (step.kind === 'post') {
    await box.post([step.which]);
    return undefined;
  }
  if (step.kind === 'keep' || step.kind === 'letGo') {
    await box.markKept(step.which, step.kind === 'keep');
    return undefined;
  }
  if (step.kind === 'claim') return await box.claim(step.which, 4000);
  if (step.kind === 'forget') {
    await box.forgetBefore(step.ms);
    return undefined;
  }
  const { state, dueMs } = step as Extract<Step, { kind: 'settle' }>;
  const problem = state === 'waiting' ? 'it broke' : null;
  return await box.settle(step.which, { state, tries: 1, dueMs, problem });
}

/** Those that are due at the same time are in no order. */
function sorted(deliveries: readonly Delivery[]): Delivery[] {
  return [...deliveries].sort(
    (a, b) => a.dueMs - b.dueMs || (a.eventId + a.endpoint < b.eventId + b.endpoint ? -1 : 1),
  );
}
