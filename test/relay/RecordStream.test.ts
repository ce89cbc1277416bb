import t, { type Test } from 'tap';
import type { AccountConfig, Config } from '../../src/config/Config.js';
import { jambonzDtmf, jambonzStart } from '../../src/providers/jambonz/messages.js';
import type { FoundAccount } from '../../src/relay/AccountFinder.js';
import { mediaRoute } from '../../src/relay/MediaRoute.js';
import { CallerAudio } from '../../src/simulators/CallerAudio.js';
import { JambonzCaller } from '../../src/simulators/JambonzCaller.js';
import { Track } from '../../src/tap/TapRecord.js';
import { Relay, account, config, type Caller } from './fixtures/Relay.js';
import { until } from './fixtures/until.js';

t.jobs = 4;

const pair = { username: 'jambonz', password: 'endpoint-secret' };
const endpointPair = `${pair.username}:${pair.password}`;
const recordEndpoint: Config['recordEndpoint'] = { credentials: [pair], layout: 'jambonz', timeZone: 'UTC' };
const accountLookup: NonNullable<Config['accountLookup']> = {
  url: 'https://accounts.example.com/{account}',
  key: null,
  ttlSeconds: 60,
  staleSeconds: 600,
  timeoutMs: 2000,
};

/** An account with a bucket and credentials of its own, and jambonz's default account, which has neither. */
const tenant = account({ id: 'tenant', jambonz: credentials('user', 'pass') });
const bucketless = account({ id: 'default', jambonz: credentials(), store: null });
const silent = account({ id: 'silent', jambonz: credentials(), record: 'never' });

function credentials(username?: string, password = ''): AccountConfig['jambonz'] {
  const pairs = username === undefined ? [] : [{ username, password }];
  return { ...account().jambonz, credentials: pairs };
}

function first(accountSid: string, callSid = 'call-1'): string {
  return jambonzStart({ sampleRate: 8000, mixType: 'stereo', callSid, accountSid, from: '+1', to: '+2' });
}

/** Bytes that differ everywhere, so that none can be lost or moved unseen. */
function pcm(bytes: number, seed = 0): Buffer {
  const view = Buffer.alloc(bytes);
  for (let index = 0; index < bytes; index++) view[index] = (index * 31 + (index >> 8) + seed * 7) & 0xff;
  return view;
}

function relayWith(
  t: { teardown: (fn: () => Promise<void>) => void },
  options: Parameters<typeof Relay.start>[1] = {},
): Promise<Relay> {
  return Relay.start(t, {
    accounts: () => [tenant, bucketless, silent],
    ...options,
    config: { recordEndpoint, ...options.config },
  });
}

/** Resolves when the relay has dealt with everything that was sent so far: it answers pings in their place. */
async function digested(caller: Caller): Promise<void> {
  await new Promise<void>((resolve) => {
    caller.socket.once('pong', () => resolve());
    caller.socket.ping();
  });
}

/** Closes as jambonz does, and fails unless it was the first to do so and never got a message. */
async function hangUp(t: Test, caller: Caller): Promise<void> {
  await digested(caller);
  t.equal(caller.close, undefined, 'the socket is open to the end');
  caller.socket.close(1000);
  t.equal((await caller.closed()).code, 1000);
  t.same(caller.received, [], 'nothing was ever sent on it');
}

void t.test('the recording endpoint answers under any prefix and for any vendor', (t) => {
  const paths = ['/record/aws_s3', '/record/s3_compatible/', '/api/v1/record/google', '/a/b/c/record/azure'];
  for (const path of [...paths, '/twilio/record/x%20y', '/record/aws_s3?x=/']) {
    t.match(mediaRoute(path), { endpoint: 'record', account: null, dialect: { name: 'jambonz' } }, path);
  }
  for (const path of ['/record', '/record/', '/record//', '/x/record', '/../record/x', '/%2e%2e/record/x'])
    t.equal(mediaRoute(path), null, path);
  t.equal(mediaRoute('/record/%E0%A4%A'), null);
  t.match(mediaRoute('/jambonz/record'), { endpoint: 'stream', account: 'record' });
  t.match(mediaRoute('/twilio/tap'), { endpoint: 'tap' });
  t.end();
});

void t.test('a recording is taken byte for byte, digits beside it, and nothing is answered', async (t) => {
  const relay = await relayWith(t);
  const caller = await relay.jambonz('/api/v1/record/aws_s3', endpointPair, ['audio.jambonz.org']).open();
  t.equal(caller.socket.protocol, 'audio.jambonz.org');
  const frames = [pcm(640), pcm(641, 1), pcm(639, 2), pcm(64_000, 3)];
  const odd = jambonzDtmf('5', 200);
  t.equal(odd.length % 2, 1, 'a text of an odd length would shift every sample behind it');
  caller.send(first('tenant'), frames[0] ?? '', odd, frames[1] ?? '', odd, ...frames.slice(2));
  caller.send('{"type":"session:summary","data":{"n":1}}', 'no JSON at all', first('tenant', 'other'));
  await hangUp(t, caller);
  await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end of the call');
  const stream = relay.tap.stream();
  t.ok(stream.heard(Track.both).equals(Buffer.concat(frames)), 'sample-exact');
  t.same(
    stream.notes.filter(({ kind }) => kind === 'dtmf').map((note) => note['digit']),
    ['5', '5'],
  );
  t.match(stream.facts, {
    role: 'oneway',
    playout: 'none',
    placement: 'count',
    sampleRate: 8000,
    tracks: ['both'],
  });
  t.match(relay.tap.calls[0]?.facts, {
    accountId: 'tenant',
    callId: 'call-1',
    provider: 'jambonz',
    layout: 'jambonz',
    from: '+1',
    failed: undefined,
  });
  t.match(relay.tap.calls[0]?.events, [
    { type: 'unknown_message', name: 'session:summary', message: { data: { n: 1 } } },
    { type: 'unknown_message', name: 'frame_not_json' },
    { type: 'unknown_message', name: 'start', message: { callSid: 'other' } },
  ]);
  t.same(stream.end_, { reason: 'closed', closeCode: 1000 });
});

void t.test('a first frame without a mix is taken for the stereo that jambonz records in', async (t) => {
  const relay = await relayWith(t);
  const caller = await relay.jambonz('/record/aws_s3', endpointPair).open();
  caller.send(JSON.stringify({ callSid: 'call-1', accountSid: 'tenant' }), pcm(640));
  await hangUp(t, caller);
  t.match(relay.tap.stream().facts, { sampleRate: 8000, tracks: ['both'] });
  t.equal(relay.tap.stream().heard(Track.both).length, 640);
});

void t.test('the incident: a call that names the bucketless default account', async (t) => {
  const relay = await relayWith(t);
  const wrong = await relay.jambonz('/record/aws_s3', endpointPair).open();
  const right = await relay.jambonz('/record/aws_s3', endpointPair).open();
  wrong.send(first('default', 'call-w'));
  right.send(first('tenant', 'call-r'));
  for (let tick = 0; tick < 100; tick++) {
    wrong.send(pcm(640, tick));
    right.send(pcm(640, tick));
  }
  await hangUp(t, wrong);
  await hangUp(t, right);
  const [failed, kept] = relay.tap.calls;
  t.match(failed?.facts, { accountId: 'default', callId: 'call-w', failed: 'no_store' });
  t.equal(relay.tap.stream(0).heard(Track.both).length, 0, 'none of it is kept anywhere');
  t.match(kept?.facts, { accountId: 'tenant', callId: 'call-r', failed: undefined });
  t.equal(relay.tap.stream(1).heard(Track.both).length, 64_000);
  t.match(relay.lines('no_store'), [{ accountId: 'default', callId: 'call-w', level: 50 }]);
});

void t.test(
  'the incident with credentials of an account: what it named is said under the account',
  async (t) => {
    const relay = await relayWith(t);
    for (const claimed of ['default', 'nobody']) {
      const caller = await relay.jambonz('/record/aws_s3', 'user:pass').open();
      caller.send(first(claimed, `call-${claimed}`), pcm(6400));
      await hangUp(t, caller);
    }
    const facts = relay.tap.calls.map((call) => call.facts);
    t.match(facts, [
      {
        accountId: 'tenant',
        callId: 'call-default',
        failed: 'account_mismatch',
        claimedAccountId: 'default',
      },
      { accountId: 'tenant', callId: 'call-nobody', failed: 'account_mismatch', claimedAccountId: 'nobody' },
    ]);
    t.match(relay.lines('account_mismatch')[0], { accountId: 'tenant', claimedAccountId: 'default' });
  },
);

const reasons: {
  readonly name: string;
  readonly messages: readonly (string | Buffer)[];
  readonly options?: Parameters<typeof Relay.start>[1];
  readonly before?: (relay: Relay) => void;
  /** Of the recording; null: there is none. */
  readonly facts: Record<string, unknown> | null;
  readonly code: string | null;
}[] = [
  {
    name: 'an account that nobody knows',
    messages: [first('nobody')],
    facts: { accountId: 'nobody', failed: 'unknown_account' },
    code: 'unknown_account',
  },
  {
    name: 'an account without a store',
    messages: [first('default')],
    facts: { accountId: 'default', failed: 'no_store' },
    code: 'no_store',
  },
  { name: 'an account that is never recorded', messages: [first('silent')], facts: null, code: null },
  {
    name: 'a full spool',
    messages: [first('tenant')],
    before: (relay) => relay.server.setSpoolFull(true),
    facts: { accountId: 'tenant', failed: 'spool_full' },
    code: 'spool_full',
  },
  {
    name: 'a tap that breaks',
    messages: [first('tenant')],
    before: (relay) => (relay.tap.broken = true),
    facts: null,
    code: 'stream_failed',
  },
  {
    name: 'an account that is looked up and does not exist',
    messages: [first('nobody')],
    options: { config: { accountLookup }, findAccount: () => Promise.resolve(null) },
    facts: { accountId: 'nobody', failed: 'unknown_account' },
    code: 'unknown_account',
  },
  {
    name: 'a look-up that throws',
    messages: [first('elsewhere')],
    options: { config: { accountLookup }, findAccount: () => Promise.reject(new Error('broken')) },
    facts: { accountId: 'elsewhere', failed: undefined },
    code: null,
  },
  {
    name: 'a start that is garbage',
    messages: ['{"callSid":', '[1]', Buffer.from([0x7b, 0xff, 0xfe]), '{"sampleRate":8000}', first('../x')],
    facts: { accountId: 'unknown', callId: /^unknown-/, failed: 'unknown_account' },
    code: 'unknown_account',
  },
];

for (const { name, messages, options, before, facts, code } of reasons) {
  void t.test(`the socket stays open to its end: ${name}`, async (t) => {
    const relay = await relayWith(t, options);
    before?.(relay);
    const caller = await relay.jambonz('/record/s3_compatible', endpointPair).open();
    caller.send(...messages, pcm(640), jambonzDtmf('1', 100), pcm(641), '{"type":"x"}', pcm(639));
    await digested(caller);
    caller.send(pcm(640, 1));
    await hangUp(t, caller);
    await until(() => relay.counters.get('streams') === 0, 'the end');
    if (facts === null) t.same(relay.tap.calls, []);
    else t.match(relay.tap.calls[0]?.facts, facts);
    t.equal(relay.tap.calls.length, facts === null ? 0 : 1);
    if (code !== null) t.ok(relay.codes().includes(code), 'the log says why');
    for (const gauge of ['pendingStreams', 'unprovenStreams', 'strangers', 'drainedStreams'] as const)
      t.equal(relay.counters.get(gauge), 0, gauge);
  });
}

void t.test('a call beyond the limit is drained without a recording', async (t) => {
  const relay = await relayWith(t, { limits: { calls: 1 } });
  const one = await relay.jambonz('/record/aws_s3', endpointPair).open();
  const two = await relay.jambonz('/record/aws_s3', endpointPair).open();
  one.send(first('tenant', 'one'));
  await until(() => relay.tap.calls.length === 1, 'the first call');
  two.send(first('tenant', 'two'), pcm(640));
  await digested(two);
  t.equal(relay.counters.get('drainedStreams'), 1);
  two.send(pcm(640));
  await hangUp(t, two);
  t.equal(relay.tap.calls.length, 1);
  t.match(relay.lines('too_many_streams'), [{ callId: 'two', drained: true }]);
  await until(() => relay.counters.get('drainedStreams') === 0, 'the drained socket to go');
  await hangUp(t, one);
});

void t.test('a socket that says nothing keeps its place, and is heard when it speaks', async (t) => {
  const relay = await relayWith(t, { limits: { startTimeoutMs: 100, pendingStreams: 1 } });
  const caller = await relay.jambonz('/record/aws_s3', endpointPair).open();
  await until(() => relay.lines('start_timeout').length === 1, 'the time to be over');
  t.equal(relay.counters.get('pendingStreams'), 0, 'it keeps nobody else out');
  caller.send(first('tenant'), pcm(640));
  await hangUp(t, caller);
  t.equal(relay.tap.stream().heard(Track.both).length, 640);
});

void t.test('audio whose start message never comes is recorded after a while, as stereo', async (t) => {
  const catchAll = account({ id: '*', jambonz: credentials() });
  const relay = await relayWith(t, { accounts: () => [tenant, catchAll] });
  const own = await relay.jambonz('/record/aws_s3', 'user:pass').open();
  const any = await relay.jambonz('/record/aws_s3', endpointPair).open();
  for (const caller of [own, any]) caller.send(pcm(64_000), jambonzDtmf('9', 100), pcm(640, 1));
  await until(() => relay.tap.calls.length === 2, 'both to begin without');
  own.send(pcm(640, 2));
  await hangUp(t, own);
  await hangUp(t, any);
  const byAccount = (id: string) => relay.tap.calls.find(({ facts }) => facts.accountId === id);
  for (const [id, expected] of [
    ['tenant', [pcm(64_000), pcm(640, 1), pcm(640, 2)]],
    ['unknown', [pcm(64_000), pcm(640, 1)]],
  ] as const) {
    const call = byAccount(id);
    t.match(call?.facts, { callId: /^unknown-/, sampleRate: 8000, failed: undefined }, id);
    t.ok(call?.streams[0]?.heard(Track.both).equals(Buffer.concat(expected)), 'none is lost');
  }
});

void t.test('where digits are masked none is written down, however it is told', async (t) => {
  const { recording } = config([]);
  const relay = await relayWith(t, { config: { recording: { ...recording, dtmf: 'mask' } } });
  const caller = await relay.jambonz('/record/aws_s3', endpointPair).open();
  caller.send(first('tenant'), pcm(640), jambonzDtmf('5', 200));
  caller.send(
    '{"event":"dtmf","dtmf":"4#7*1","duration":"1600"}',
    '{"type":"keypad","data":{"key":"4#7*1"}}',
  );
  caller.send('{"event":"dtmf","dtmf":"4#7*1"');
  await hangUp(t, caller);
  await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end of the call');
  t.match(
    relay.tap.stream().notes.find(({ kind }) => kind === 'dtmf'),
    { digit: '', durationMs: 200 },
  );
  t.same(relay.tap.calls[0]?.events, [
    { type: 'unknown_message', name: 'dtmf_invalid' },
    { type: 'unknown_message', name: 'keypad' },
    { type: 'unknown_message', name: 'frame_not_json' },
  ]);
  t.notMatch(JSON.stringify(relay.log), '4#7*1');
});

for (const lookupMs of [0, 50, 500, 2000]) {
  void t.test(`no sample is lost in a look-up of ${lookupMs} ms`, async (t) => {
    const asked: string[] = [];
    const elsewhere = account({ id: 'elsewhere', jambonz: credentials() });
    const relay = await relayWith(t, {
      config: { accountLookup },
      findAccount: (id) => {
        asked.push(id);
        const answer = (resolve: (found: FoundAccount) => void) => resolve(elsewhere);
        return new Promise((resolve) => setTimeout(answer, lookupMs, resolve));
      },
    });
    const said = Int16Array.from({ length: 8000 * 3 }, (_none, index) => (index * 7919) % 30_011);
    const caller = new JambonzCaller({
      url: `ws://127.0.0.1:${relay.port}/api/v1`,
      recordVendor: 'aws_s3',
      ...pair,
      accountSid: 'elsewhere',
      callSid: 'early',
      startAfterMs: 110,
      audio: new CallerAudio(said, { sampleRate: 8000 }),
      seconds: lookupMs / 1000 + 0.4,
      dtmf: [
        { atMs: 60, digit: '1' },
        { atMs: 200, digit: '2' },
      ],
    });
    const result = await caller.call();
    await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end of the call');
    const sent = Buffer.concat((result.streams[0]?.frames ?? []).map(({ payload }) => payload));
    t.ok(sent.length > 640 * 15);
    t.ok(relay.tap.stream().heard(Track.both).equals(sent), 'sample-exact');
    const digits = relay.tap.stream().notes.filter(({ kind }) => kind === 'dtmf');
    t.same(
      digits.map((note) => note['digit']),
      ['1', '2'],
    );
    t.match(relay.tap.calls[0]?.facts, { accountId: 'elsewhere', callId: 'early', failed: undefined });
    const arrivals = relay.tap.stream().notes.map((note) => note['arrivalMs'] as number);
    t.same(
      arrivals,
      [...arrivals].sort((a, b) => a - b),
      'each kept the time of its arrival',
    );
    t.ok((arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0) > lookupMs * 0.8, 'not the time of the answer');
    t.same(asked, ['elsewhere']);
    t.same(result.violations, []);
    t.match(result.streams[0], { closedBy: 'caller', closeCode: 1000 });
  });
}

void t.test('a look-up that takes too long is not waited for: recorded first, found later', async (t) => {
  const relay = await relayWith(t, {
    config: { accountLookup },
    findAccount: () => new Promise(() => undefined),
  });
  const caller = await relay.jambonz('/record/aws_s3', endpointPair).open();
  const frames = Array.from({ length: 6 }, (_none, index) => pcm(1024 * 1024, index));
  caller.send(first('elsewhere'), ...frames);
  await digested(caller);
  t.match(relay.tap.calls[0]?.facts, { accountId: 'elsewhere', failed: undefined });
  await hangUp(t, caller);
  t.ok(relay.tap.stream().heard(Track.both).equals(Buffer.concat(frames)));
});

void t.test('a call that is over before its account is found is recorded all the same', async (t) => {
  let answer: (found: FoundAccount) => void = () => undefined;
  const relay = await relayWith(t, {
    config: { accountLookup },
    findAccount: () => new Promise((resolve) => (answer = resolve)),
  });
  const caller = await relay.jambonz('/record/aws_s3', endpointPair).open();
  caller.send(first('elsewhere'), pcm(6400));
  await hangUp(t, caller);
  t.same(relay.tap.calls, []);
  answer(account({ id: 'elsewhere' }));
  await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the recording to end');
  t.ok(relay.tap.stream().heard(Track.both).equals(pcm(6400)));
  t.equal(relay.counters.get('pendingStreams'), 0);
});

void t.test('what waits for its account is written down when the daemon ends', async (t) => {
  const relay = await relayWith(t, {
    config: { accountLookup },
    findAccount: () => new Promise(() => undefined),
  });
  const open = await relay.jambonz('/record/aws_s3', endpointPair).open();
  const over = await relay.jambonz('/record/aws_s3', endpointPair).open();
  open.send(first('elsewhere', 'open'), pcm(640));
  over.send(first('elsewhere', 'over'), pcm(6400));
  await digested(open);
  await hangUp(t, over);
  await relay.server.close();
  t.equal((await open.closed()).code, 1001, 'the end of the process is one of the exceptions');
  t.same(
    relay.tap.calls.map(({ facts, streams }) => [facts.callId, streams[0]?.heard(Track.both).length]).sort(),
    [
      ['open', 640],
      ['over', 6400],
    ],
  );
});

void t.test('an account of the look-up has to prove itself by its own credentials', async (t) => {
  const elsewhere = account({ id: 'elsewhere', jambonz: credentials('its', 'own') });
  const relay = await relayWith(t, {
    config: { accountLookup },
    findAccount: (id) => Promise.resolve(id === 'elsewhere' ? elsewhere : null),
  });
  const its = await relay.jambonz('/record/aws_s3', 'its:own').open();
  its.send(first('elsewhere', 'its'), pcm(640));
  await hangUp(t, its);
  t.match(relay.tap.calls[0]?.facts, { accountId: 'elsewhere', callId: 'its', failed: undefined });
  for (const named of ['elsewhere', 'nobody', 'tenant']) {
    const stranger = await relay.jambonz('/record/aws_s3', 'its:guess').open();
    stranger.send(first(named), pcm(640));
    await hangUp(t, stranger);
  }
  t.equal(relay.tap.calls.length, 1, 'nothing is recorded for strangers, and nothing written down');
  t.equal(relay.lines('account_mismatch').length, 3);
  const tenants = await relay.jambonz('/record/aws_s3', 'user:pass').open();
  tenants.send(first('elsewhere', 'wrong'), pcm(640));
  await hangUp(t, tenants);
  t.match(relay.tap.calls[1]?.facts, {
    accountId: 'tenant',
    failed: 'account_mismatch',
    claimedAccountId: 'elsewhere',
  });
});

void t.test('one call id: a listen stream, a recording, one beside it, one after it', async (t) => {
  const patient = account({ id: 'tenant', jambonz: tenant.jambonz, resumeSeconds: 30 });
  const relay = await relayWith(t, { accounts: () => [patient] });
  const listen = await relay.jambonz('/jambonz', 'user:pass').open();
  listen.send(first('tenant'), pcm(640));
  const one = await relay.jambonz('/record/aws_s3', endpointPair).open();
  one.send(first('tenant'), pcm(640, 1));
  await digested(one);
  const beside = await relay.jambonz('/record/aws_s3', endpointPair).open();
  beside.send(first('tenant'), pcm(640, 2));
  await hangUp(t, beside);
  await until(() => relay.tap.calls.length === 3, 'three recordings');
  await hangUp(t, one);
  const again = await relay.jambonz('/record/aws_s3', endpointPair).open();
  again.send(first('tenant'), pcm(640, 3));
  await hangUp(t, again);
  t.equal(relay.tap.calls.length, 3, 'a recording that is taken up again goes on');
  const layouts = relay.tap.calls.map(({ facts }) => facts.layout).sort();
  t.same(layouts, ['chunks', 'jambonz', 'jambonz']);
  t.same(relay.tap.calls.map(({ streams }) => streams.length).sort(), [1, 1, 2]);
  listen.socket.close(1000);
  await listen.closed();
});

void t.test('an empty binary frame asks for the end, and gets it', async (t) => {
  const relay = await relayWith(t);
  for (const messages of [[first('tenant', 'a'), pcm(640), ''], [first('nobody', 'b'), ''], ['']]) {
    const caller = await relay.jambonz('/record/aws_s3', endpointPair).open();
    for (const message of messages) caller.socket.send(message === '' ? Buffer.alloc(0) : message);
    t.equal((await caller.closed()).code, 1000);
    t.same(caller.received, []);
  }
  t.match(relay.tap.stream().end_, { reason: 'stop' });
});

void t.test(
  'an empty binary frame while the account is asked for: closed at once, recorded later',
  async (t) => {
    const elsewhere = account({ id: 'elsewhere', jambonz: credentials('its', 'own') });
    let answer: (found: FoundAccount) => void = () => undefined;
    const relay = await relayWith(t, {
      config: { accountLookup },
      findAccount: () => new Promise((resolve) => (answer = resolve)),
    });
    for (const given of ['its:own', 'its:guess']) {
      const caller = await relay.jambonz('/record/aws_s3', given).open();
      caller.send(pcm(640), first('elsewhere', given), pcm(640, 1), Buffer.alloc(0));
      t.equal((await caller.closed()).code, 1000, 'the client can no longer close by itself');
    }
    t.same(relay.tap.calls, []);
    answer(elsewhere);
    await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end of the call');
    await until(() => relay.counters.get('unprovenStreams') === 0, 'the other one to be refused');
    t.equal(relay.tap.calls.length, 1);
    t.ok(
      relay.tap
        .stream()
        .heard(Track.both)
        .equals(Buffer.concat([pcm(640), pcm(640, 1)])),
    );
    t.match(relay.tap.stream().end_, { reason: 'stop' });
    const unnamed = await relay.jambonz('/record/aws_s3', 'its:guess').open();
    unnamed.send(pcm(640), Buffer.alloc(0));
    t.equal((await unnamed.closed()).code, 1000);
    t.equal(relay.counters.get('drainedStreams'), 0);
  },
);

void t.test('strangers that are never closed keep nobody out who may yet prove something', async (t) => {
  const relay = await relayWith(t, {
    accounts: () => [tenant],
    config: { accountLookup },
    findAccount: () => Promise.resolve(null),
  });
  const strangers: Caller[] = [];
  for (let index = 0; index < 64; index++) {
    const stranger = await relay.jambonz('/record/aws_s3', 'its:guess').open();
    strangers.push(stranger.send(first(`invented-${index}`), pcm(640)));
    await digested(stranger);
  }
  await until(() => relay.counters.get('strangers') === 64, 'all of them to be drained');
  t.equal(relay.counters.get('unprovenStreams'), 0);
  t.match(await relay.jambonz('/record/aws_s3', 'its:guess').refusal(), { status: 503 });
  await relay.jambonz('/jambonz', 'its:guess').open();
  await relay.jambonz('/record/aws_s3', endpointPair).open();
  t.ok(strangers.every(({ close }) => close === undefined));
  strangers[0]?.socket.close(1000);
  await until(() => relay.counters.get('strangers') === 63, 'the place to be free');
  await relay.jambonz('/record/aws_s3', 'its:guess').open();
});

void t.test(
  'nobody reads what nobody keeps, nor a text that is no start message by its length',
  async (t) => {
    const relay = await relayWith(t, {
      accounts: () => [tenant],
      config: { accountLookup },
      findAccount: () => Promise.resolve(null),
    });
    const caller = await relay.jambonz('/record/aws_s3', endpointPair).open();
    const long = JSON.stringify({
      ...(JSON.parse(first('tenant')) as object),
      padding: 'x'.repeat(1024 * 1024),
    });
    caller.send(long, first('tenant'), long, pcm(640));
    await hangUp(t, caller);
    t.match(relay.lines('payload_oversized'), [{ level: 40 }]);
    t.equal(relay.tap.stream().heard(Track.both).length, 640);
    const drained = await relay.jambonz('/record/aws_s3', 'its:guess').open();
    drained.send(first('nobody'));
    await until(() => relay.counters.get('strangers') === 1, 'the stranger to be known as one');
    const nested = '['.repeat(4_000_000) + ']'.repeat(4_000_000);
    drained.send(nested, nested, nested);
    await hangUp(t, drained);
  },
);

void t.test('names of any length fit into a record', async (t) => {
  const relay = await relayWith(t);
  const caller = await relay.jambonz('/record/aws_s3', endpointPair).open();
  const start = { sampleRate: 8000, mixType: 'stereo', callSid: 'c', accountSid: 'tenant', to: '+2' };
  caller.send(
    JSON.stringify({ ...start, from: '1'.repeat(900_000), direction: 'i'.repeat(100_000) }),
    pcm(640),
  );
  await hangUp(t, caller);
  const facts = relay.tap.calls[0]?.facts;
  t.match(facts, { callId: 'c', from: /^1{1024}$/, to: '+2', direction: /^i{1024}$/ });
  t.ok(JSON.stringify(facts).length < 40_000);
});

void t.test('a recording that failed takes no audio of one that does not', async (t) => {
  const patient = account({ id: 'tenant', jambonz: tenant.jambonz, resumeSeconds: 30 });
  const relay = await relayWith(t, { accounts: () => [patient, bucketless] });
  const wrong = await relay.jambonz('/record/aws_s3', 'user:pass').open();
  wrong.send(first('default', 'one-id'), pcm(640));
  await hangUp(t, wrong);
  const right = await relay.jambonz('/record/aws_s3', 'user:pass').open();
  right.send(first('tenant', 'one-id'), pcm(640, 1));
  await hangUp(t, right);
  t.match(
    relay.tap.calls.map(({ facts }) => [facts.accountId, facts.failed]),
    [
      ['tenant', 'account_mismatch'],
      ['tenant', undefined],
    ],
  );
  t.equal(relay.tap.calls.at(-1)?.streams[0]?.heard(Track.both).length, 640);
});

void t.test('the secret of one account is no proof for another that has none', async (t) => {
  const open = account({ id: 'open', jambonz: credentials() });
  const relay = await relayWith(t, { config: { accountLookup }, findAccount: () => Promise.resolve(open) });
  const caller = await relay.jambonz('/record/aws_s3', 'user:pass').open();
  caller.send(first('open'), pcm(640));
  await hangUp(t, caller);
  t.match(relay.tap.calls[0]?.facts, {
    accountId: 'tenant',
    failed: 'account_mismatch',
    claimedAccountId: 'open',
  });
});

void t.test('messages of many seconds are taken whole; one over 16 MiB breaks its socket', async (t) => {
  const relay = await relayWith(t);
  const caller = await relay.jambonz('/record/aws_s3', endpointPair).open();
  const long = pcm(15 * 1024 * 1024);
  caller.send(first('tenant'), long);
  await hangUp(t, caller);
  t.ok(relay.tap.stream().heard(Track.both).equals(long));
  const broken = await relay.jambonz('/record/aws_s3', endpointPair).open();
  broken.send(first('tenant', 'b'), Buffer.alloc(16 * 1024 * 1024 + 1));
  t.equal((await broken.closed()).code, 1009);
  t.equal(relay.lines('payload_oversized').length, 1);
});

void t.test('without the right credentials there is no socket, and no password in the log', async (t) => {
  const relay = await relayWith(t, { accounts: () => [tenant] });
  for (const [given, status] of [
    [null, 401],
    ['jambonz:guessed-secret', 403],
  ] as const) {
    t.match(await relay.jambonz('/x/record/aws_s3', given).refusal(), {
      status,
      body: /credentials_invalid/,
    });
  }
  t.match(relay.lines('credentials_invalid')[1], { path: '/x/record/aws_s3', value: 'jambonz', status: 403 });
  t.notMatch(JSON.stringify(relay.log), 'guessed-secret');
});

void t.test('an endpoint without credentials takes accounts without, from this machine only', async (t) => {
  const open = { ...recordEndpoint, credentials: [] };
  const relay = await relayWith(t, { config: { recordEndpoint: open } });
  const plain = await relay.jambonz('/record/aws_s3', null).open();
  plain.send(first('default', 'a'), pcm(640));
  await hangUp(t, plain);
  const unknown = await relay.jambonz('/record/aws_s3', null).open();
  unknown.send(first('nobody', 'b'), pcm(640));
  await hangUp(t, unknown);
  t.match(
    relay.tap.calls.map(({ facts }) => facts),
    [
      { accountId: 'default', failed: 'no_store' },
      { accountId: 'nobody', failed: 'unknown_account' },
    ],
  );
  const forwarded = { 'X-Forwarded-For': '203.0.113.7' };
  t.match(await relay.forwarded('/record/aws_s3', forwarded).refusal(), { status: 401 });
});
