import { join } from 'node:path';
import t from 'tap';
import { ApiBench } from '../fixtures/ApiBench.js';
import { fabricateRecording } from '../fixtures/recording.js';
import { wholeList } from '../fixtures/wholeList.js';

/* What is asked of the recordings of calls that are up; doing it is the media thread's, and tested there. */

const accounts = [
  { id: 'AC1', apiKeys: ['one'] },
  { id: 'AC2', apiKeys: ['two'] },
];

function call(accountId: string, callId: string, recordingId: string | null) {
  return {
    recordingId,
    recording: recordingId === null ? ('awaited' as const) : ('running' as const),
    accountId,
    provider: 'twilio',
    callId,
    from: null,
    to: null,
    direction: null,
    startTime: new Date().toISOString(),
    streams: ['MZ1'],
    upstream: 'open' as const,
  };
}

await t.test(
  'a deed is asked of the call whose recording it is, and answered with what became of it',
  async (t) => {
    const dir = t.testdir({});
    const { manifest } = await fabricateRecording(join(dir, 'spool'), {
      accountId: 'AC1',
      state: 'recording',
    });
    const { recordingId } = manifest;
    const bench = await ApiBench.start(t, dir, { accounts });
    bench.calls.take(wholeList([call('AC1', 'CA1', recordingId), call('AC1', 'CA2', 'just-begun')]));
    const path = `/v1/recordings/${recordingId}`;
    bench.answer = { recordingId, recording: 'paused' };
    t.same(await (await bench.ask('POST', `${path}/pause`, 'one')).json(), {
      recordingId,
      recording: 'paused',
    });
    await bench.ask('POST', `${path}/pause`, 'one', { mode: 'skip' });
    await bench.ask('POST', `${path}/resume`, 'one');
    await bench.ask('POST', `/v1/recordings/just-begun/stop`, 'one', {});
    t.same(bench.asked, [
      { deed: 'pause', recordingId, mode: 'silence' },
      { deed: 'pause', recordingId, mode: 'skip' },
      { deed: 'resume', recordingId },
      { deed: 'stop', recordingId: 'just-begun' },
    ]);
    bench.answer = { code: 'recording_not_live', value: 'stopped' };
    const refused = await bench.ask('POST', `${path}/pause`, 'one');
    t.equal(refused.status, 409);
    t.match(await refused.json(), { code: 'recording_not_live', message: /stopped/ });
  },
);

await t.test(
  'nothing is asked of a call that the key doesn’t see, or in words that nobody understands',
  async (t) => {
    const dir = t.testdir({});
    const { manifest } = await fabricateRecording(join(dir, 'spool'), {
      accountId: 'AC1',
      state: 'recording',
    });
    const bench = await ApiBench.start(t, dir, { accounts });
    bench.calls.take(wholeList([call('AC1', 'CA1', manifest.recordingId), call('AC1', 'CA2', 'just-begun')]));
    for (const id of [manifest.recordingId, 'just-begun', 'nothing'])
      for (const deed of ['pause', 'resume', 'stop'])
        t.equal(
          (await bench.ask('POST', `/v1/recordings/${id}/${deed}`, 'two')).status,
          404,
          `${deed} ${id}`,
        );
    t.equal((await bench.ask('POST', '/v1/calls/CA1/record', 'two')).status, 404);
    t.equal((await bench.ask('POST', '/v1/calls/CA1/record')).status, 401);
    const path = `/v1/recordings/${manifest.recordingId}`;
    const odd: [string, unknown][] = [
      ['pause', { mode: 'loud' }],
      ['pause', { mood: 'skip' }],
      ['pause', []],
      ['resume', { mode: 'skip' }],
      ['stop', 'now'],
    ];
    for (const [deed, body] of odd)
      t.equal((await bench.ask('POST', `${path}/${deed}`, 'one', body)).status, 400, JSON.stringify(body));
    t.same(bench.asked, []);
  },
);

await t.test('a key without the scope control may ask for nothing', async (t) => {
  const bench = await ApiBench.start(t, t.testdir({}), {
    accounts: [{ id: 'AC1', apiKeys: [{ key: 'reader', scopes: ['read'] }] }],
  });
  bench.calls.take(wholeList([call('AC1', 'CA1', 'r1')]));
  t.equal((await bench.ask('POST', '/v1/recordings/r1/pause', 'reader')).status, 403);
  t.equal((await bench.ask('POST', '/v1/calls/CA1/record', 'reader')).status, 403);
  t.same(bench.asked, []);
});

await t.test(
  'a call is begun to be recorded by its id, and by its account where several have one',
  async (t) => {
    const bench = await ApiBench.start(t, t.testdir({}), { accounts, adminKeys: ['admin'] });
    bench.calls.take(wholeList([call('AC1', 'CA1', null), call('AC2', 'CA1', null)]));
    bench.answer = { recordingId: 'r9', recording: 'running' };
    t.equal((await bench.ask('POST', '/v1/calls/CA1/record', 'admin')).status, 400, 'whose?');
    t.equal((await bench.ask('POST', '/v1/calls/CA1/record', 'admin', { account: 'AC9' })).status, 404);
    t.equal((await bench.ask('POST', '/v1/calls/CA1/record', 'one', { account: 'AC2' })).status, 404);
    const begun = await bench.ask('POST', '/v1/calls/CA1/record', 'one');
    t.equal(begun.status, 201);
    t.same(await begun.json(), { recordingId: 'r9', recording: 'running' });
    await bench.ask('POST', '/v1/calls/CA1/record', 'admin', { account: 'AC2' });
    t.same(bench.asked, [
      { deed: 'start', accountId: 'AC1', callId: 'CA1' },
      { deed: 'start', accountId: 'AC2', callId: 'CA1' },
    ]);
    bench.answer = { code: 'recording_not_live', value: 'stopped' };
    await bench.ask('POST', '/v1/calls/CA1/record', 'one');
    const day = new Date().toISOString().slice(0, 10).replaceAll('-', '');
    const audit = await bench.ask('GET', `/v1/audit?account=AC1&day=${day}`, 'one');
    t.match(
      await audit.json(),
      {
        entries: [
          { recordingId: 'r9', deed: 'POST /v1/calls/:callId/record', status: 201 },
          { recordingId: '', deed: 'POST /v1/calls/:callId/record', status: 409 },
        ],
      },
      'that it was begun is noted of the recording',
    );
  },
);
