import t, { type Test } from 'tap';
import { BridgePool } from '../../src/bridge/BridgePool.js';
import type { AccountConfig } from '../../src/config/Config.js';
import { jambonzDtmf, jambonzStart } from '../../src/providers/jambonz/messages.js';
import { twilioDtmf } from '../../src/providers/twilio/messages.js';
import { Track } from '../../src/tap/TapRecord.js';
import { Relay, account } from '../relay/fixtures/Relay.js';
import type { Caller, RelayOptions } from '../relay/fixtures/Relay.js';
import { connected, media, payload, start, stop, streamId } from '../relay/fixtures/twilioCall.js';
import { until } from '../relay/fixtures/until.js';

const livekit: AccountConfig['livekit'] = {
  url: 'ws://127.0.0.1:1',
  apiKey: 'key',
  apiSecret: 'secret',
  rooms: 'none',
  departureSeconds: 20,
  sampleRate: 48_000,
};

interface Bridged {
  readonly relay: Relay;
  readonly pool: BridgePool;
}

async function bridged(
  t: Test,
  upstream: string,
  options: {
    readonly module?: string;
    readonly limits?: RelayOptions['limits'];
    readonly onUpstreamLoss?: AccountConfig['onUpstreamLoss'];
  } = {},
): Promise<Bridged> {
  const { module = 'echoBridge.js', limits = {}, onUpstreamLoss = 'close' } = options;
  let pool: BridgePool | undefined;
  const relay = await Relay.start(t, {
    accounts: () => [account({ upstream: { twilio: upstream, jambonz: upstream }, onUpstreamLoss, livekit })],
    limits,
    bridges: ({ config, counters }, log) =>
      (pool = new BridgePool({
        config,
        counters,
        log,
        module: new URL(`./fixtures/${module}`, import.meta.url),
      })),
  });
  if (pool === undefined) throw new Error('no pool');
  const { config } = relay;
  const own = pool;
  t.teardown(() => own.stop());
  own.configure(config);
  return { relay, pool };
}

async function ready({ pool }: Bridged): Promise<void> {
  await until(() => pool.processes.some(({ isReady }) => isReady), 'a bridge process', 30_000);
}

function press(caller: Caller, digit: string): void {
  caller.send(twilioDtmf({ streamSid: streamId, sequenceNumber: 50, digit }));
}

/** Frames until as many have come back. */
async function talk(caller: Caller, from: number, heard: number): Promise<void> {
  let index = from;
  const before = caller.received.length;
  await until(() => {
    caller.send(media(index++));
    return caller.received.length >= before + heard;
  }, 'the echo');
}

await t.test('a Twilio call is a participant of a room, and is recorded like any call', async (t) => {
  const bridged_ = await bridged(t, 'livekit://call-{callId}?agent=echo');
  const { relay } = bridged_;
  await ready(bridged_);
  const caller = await relay.twilio().open();
  caller.send(connected, start());
  await talk(caller, 0, 5);
  const [echo = ''] = caller.texts();
  const said = JSON.parse(echo) as { event: string; streamSid: string; media: { payload: string } };
  t.equal(said.event, 'media');
  t.equal(said.streamSid, streamId);
  t.equal(Buffer.from(said.media.payload, 'base64').length, 160);
  const stream = relay.tap.stream();
  t.ok(stream.heard(Track.caller).subarray(0, 160).equals(payload(0)));
  await until(() => stream.heard(Track.botSent).length >= 5 * 160, 'the agent in the tap');
  t.equal(relay.server.calls()[0]?.upstream, 'open');
  t.equal(relay.counters.get('bridgedCalls'), 1);
  press(caller, '7');
  const before = caller.received.length;
  await until(() => caller.received.length > before, 'the tone');
  t.same(
    stream.notes.filter(({ kind }) => kind === 'dtmf').map((note) => note['digit']),
    ['7'],
  );
  const line = relay.log.find(({ msg }) => msg === 'the call is in its room');
  t.match(line, { room: /^call-CA/, identity: /^phone-CA/, callId: /^CA/ }, 'told under the call');
  caller.send(stop());
  await until(() => relay.log.some(({ msg }) => msg === 'the bridge has ended'), 'the end');
  t.equal(relay.counters.get('upstreamLost'), 0);
});

await t.test('a jambonz call is too', async (t) => {
  const bridged_ = await bridged(t, 'livekit://lobby');
  await ready(bridged_);
  const caller = await bridged_.relay.jambonz().open();
  const accountSid = bridged_.relay.config.accounts[0]?.id ?? '';
  caller.send(jambonzStart({ sampleRate: 16_000, mixType: 'mono', callSid: 'call-1', accountSid }));
  const samples = Buffer.alloc(640, 3);
  await until(() => {
    caller.send(samples);
    return caller.received.length >= 3;
  }, 'the echo');
  t.ok(caller.received[0]?.isBinary);
  t.ok(caller.received[0]?.data.equals(samples), 'sample for sample');
  caller.send(jambonzDtmf('0', 100));
  t.equal((await caller.closed()).code, 1000, 'an agent that ends the room ends the call');
});

await t.test('a call that comes before any process is ready waits for one', async (t) => {
  const { relay } = await bridged(t, 'livekit://lobby');
  const caller = await relay.twilio().open();
  caller.send(connected, start());
  await talk(caller, 0, 1);
  t.equal(relay.counters.get('bridgeFailures'), 1, 'which is told once');
  t.equal(caller.close, undefined);
});

await t.test('a process that is lost costs its calls nothing but a moment', async (t) => {
  for (const onUpstreamLoss of ['close', 'recordOnly'] as const) {
    const bridged_ = await bridged(t, 'livekit://lobby', { onUpstreamLoss });
    await ready(bridged_);
    const { relay, pool } = bridged_;
    const caller = await relay.twilio().open();
    caller.send(connected, start());
    await talk(caller, 0, 3);
    const [first] = pool.processes;
    press(caller, '*');
    await until(() => relay.counters.get('bridgeRestarts') === 1, 'the loss');
    await talk(caller, 1000, 3);
    t.not(pool.processes[0]?.pid, first?.pid);
    t.equal(caller.close, undefined, `${onUpstreamLoss}: the caller has noticed nothing`);
    t.equal(relay.counters.get('upstreamReconnects'), 1);
    t.equal(relay.tap.calls.length, 1, 'one recording');
    t.match(relay.tap.calls[0]?.events, [{ type: 'upstream_lost' }]);
  }
});

await t.test('a room that refuses the call is a lost bot, with its reason', async (t) => {
  const bridged_ = await bridged(t, 'livekit://closed');
  await ready(bridged_);
  const caller = await bridged_.relay.twilio().open();
  caller.send(connected, start());
  t.equal((await caller.closed()).code, 1000);
  t.match(bridged_.relay.lines('bridge_failed'), [{ value: 'the LiveKit server refuses it' }]);
  t.match(bridged_.relay.tap.calls[0]?.events, [{ type: 'upstream_lost', code: 'bridge_failed' }]);
  t.equal(bridged_.relay.counters.get('bridgeFailures'), 1);
});

await t.test('a process has no more calls than it may, and another is started in time', async (t) => {
  const limits = { bridgedCallsPerProcess: 2, bridgeProcesses: 2 };
  const bridged_ = await bridged(t, 'livekit://lobby', { limits });
  await ready(bridged_);
  const { relay, pool } = bridged_;
  const callers: Caller[] = [];
  for (let i = 0; i < 4; i++) {
    const caller = await relay.twilio().open();
    caller.send(connected, start({ callSid: `CA${i}`, streamSid: streamId }));
    callers.push(caller);
    await talk(caller, 0, 1);
    await until(
      () => pool.processes.filter(({ isReady }) => isReady).length === 2,
      'another process',
      30_000,
    );
  }
  t.same(
    pool.processes.map(({ calls }) => calls),
    [2, 2],
  );
  const fifth = await relay.twilio().open();
  fifth.send(connected, start({ callSid: 'CA4' }));
  await until(() => relay.lines('bridge_unavailable').length === 1, 'the refusal');
  t.match(relay.lines('bridge_unavailable'), [{ value: 'each of 2 has 2 calls' }]);
  callers[0]?.send(stop());
  await talk(fifth, 0, 1);
  t.equal(pool.processes.length, 2);
});

await t.test('where the SDK is missing, a call hears so and the daemon goes on', async (t) => {
  const bridged_ = await bridged(t, 'livekit://lobby', { module: 'missingSdk.js' });
  const { relay } = bridged_;
  await until(() => relay.lines('sdk_missing').length === 1, 'the word of it', 30_000);
  const caller = await relay.twilio().open();
  caller.send(connected, start());
  t.equal((await caller.closed()).code, 1000);
  t.ok(relay.lines('sdk_missing').length >= 2);
  t.ok(relay.tap.calls[0]?.events.some((event) => event['code'] === 'sdk_missing'));
});

await t.test('processes end with the pool, also with calls', async (t) => {
  const bridged_ = await bridged(t, 'livekit://lobby');
  await ready(bridged_);
  const { relay, pool } = bridged_;
  const caller = await relay.twilio().open();
  caller.send(connected, start());
  await talk(caller, 0, 1);
  await pool.stop();
  t.equal(pool.processes.length, 0);
  t.equal(relay.counters.get('bridgeRestarts'), 0);
});
