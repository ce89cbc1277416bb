import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { DaemonProcess } from '../DaemonProcess.js';
import { eventually } from '../eventually.js';
import { readStoredCall } from '../StoredCall.js';
import { Agent } from './Agent.js';
import { addedMs, AnsweredCall, percentile, toldOf } from './AnsweredCall.js';
import { apiKey, apiSecret, LiveKitServer } from './LiveKitServer.js';
import { Onsets } from './Onsets.js';
import { PhoneCall } from './PhoneCall.js';
import { jambonzWire, twilioWire } from './PhoneWire.js';

/*
 * Phone calls into rooms of a real LiveKit server, to a scripted agent and back. Needs the server that `.ci/livekit` builds, in
 * REELAY_LIVEKIT. How long words take is measured here to see that it stays within bounds; `npm run bench:bridge` does so often enough for
 * a p99 that means something.
 */
const binary = process.env['REELAY_LIVEKIT'] ?? '';
const turns = 20;
const skip = binary === '' ? 'no LiveKit server: REELAY_LIVEKIT names what .ci/livekit builds' : false;
const home = t.testdir();

const account = 'AC0123';
/** What reelay adds to what LiveKit takes itself, in both directions together, at most, ms. */
const mostAddedMs = 150;
/** How soon an agent that stops is silent at the phone, ms: what LiveKit holds of it is on its way. */
const mostCutMs = 100;
/** How long nothing of it may be heard before, because what comes from a room doesn't come evenly, ms. */
const mostUnevenMs = 40;

interface Scene {
  readonly daemon: DaemonProcess;
  readonly server: LiveKitServer;
}

async function scene(t: Test, name: string, config: { readonly apiSecret?: string } = {}): Promise<Scene> {
  const dir = join(home, name);
  const server = await LiveKitServer.open(binary, join(dir, 'livekit'), null);
  const livekit = { url: server.url, apiKey, apiSecret: config.apiSecret ?? apiSecret };
  const daemon = await DaemonProcess.start({
    dir,
    chunkSeconds: 5,
    accounts: [
      { id: account, upstream: 'livekit://call-{callId}?answerSeconds=20&departureSeconds=2', livekit },
    ],
  });
  t.teardown(async () => {
    await daemon.kill();
    await server.kill();
  });
  return { daemon, server };
}

await t.test(
  'an agent answers the phone, and both are recorded in place',
  { skip, timeout: 300_000 },
  async (t) => {
    const { daemon, server } = await scene(t, 'answer');
    const call = await AnsweredCall.open(server, 'call-CA1', daemon.mediaPort, twilioWire(account, 'CA1'));
    const { phone, agent } = call;
    const measured = await call.speak(turns);
    for (const line of toldOf(measured)) t.comment(line);
    t.equal(measured.lost, 0, 'every word was heard, and answered');
    const added = addedMs(measured, 0.5);
    t.ok(added < mostAddedMs, `${added.toFixed(0)} ms are added`);

    phone.press('5');
    await eventually('the digit in the room', () => agent.of('digit').some(({ digit }) => digit === '5'));
    const before = phone.heardMs.length;
    agent.press('9');
    await eventually('the digit at the phone', () => phone.heardMs.length > before);
    const about = agent.of('attributes').find(({ identity }) => identity === 'phone-CA1');
    t.match(about?.attributes, { 'sip.callID': 'CA1', 'reelay.accountId': account });

    await call.leave();
    await eventually('the call ends when the agent has left', () => phone.closed === 1000);
    const stored = await readStoredCall(await daemon.stored('CA1'));
    t.same(stored.findings, []);
    t.equal(stored.manifest.state, 'complete');
    const [caller = new Int16Array(0), bot = new Int16Array(0)] = stored.channels;
    const starts = (samples: Int16Array): number[] => {
      const onsets = new Onsets(8000);
      return Array.from({ length: Math.ceil(samples.length / 8) }, (_none, ms) => ms).filter(
        (ms) => onsets.hear(samples.subarray(ms * 8, ms * 8 + 8)) !== null,
      );
    };
    const [firstSpoke = NaN] = phone.spokeMs;
    const said = starts(caller);
    const offsetMs = (said[0] ?? NaN) - firstSpoke;
    t.equal(said.length, phone.spokeMs.length, 'everything that the caller said');
    const heardAt = phone.heardMs.map((atMs) => atMs + offsetMs);
    const recordedAt = starts(bot);
    const errors = heardAt.map((atMs) => Math.min(...recordedAt.map((each) => Math.abs(each - atMs))));
    t.ok(
      percentile(errors, 0.9) < 60,
      `the agent lies where it was heard: off by p90 ${percentile(errors, 0.9).toFixed(0)} ms`,
    );
  },
);

interface Cut {
  /** From the caller's first word, ms, to silence at the phone. */
  readonly fromWordMs: number;
  /** From when the agent stopped. */
  readonly fromStopMs: number;
}

/**
 * The caller speaks while an agent talks without end. What comes before it stops, the caller's way to it and its own wits, is none of
 * reelay's; here it stops at the first sound that it hears, so that it is the caller's way alone.
 */
async function interrupt(phone: PhoneCall, agent: Agent): Promise<Cut> {
  await eventually('the agent is heard', () => phone.heardMs.length > 0);
  await sleep(2000);
  const before = phone.spokeMs.length;
  phone.speak(600);
  await eventually('the agent stops', () => agent.of('stopped').length > 0);
  await sleep(1500);
  const stoppedMs = Math.min(...agent.of('stopped').map(({ atMs }) => atMs));
  const spokeMs = phone.spokeMs[before] ?? NaN;
  return { fromWordMs: phone.silentSinceMs - spokeMs, fromStopMs: phone.silentSinceMs - stoppedMs };
}

function judge(t: Test, phone: PhoneCall, { fromWordMs, fromStopMs }: Cut): void {
  const told = `${fromStopMs.toFixed(0)} ms after the agent stopped, ${fromWordMs.toFixed(0)} ms after the caller’s first word`;
  t.comment(`silent ${told}; ${phone.clears} cuts`);
  t.ok(phone.clears >= 1, 'what waited at the phone was cut');
  t.ok(fromStopMs > -mostUnevenMs, 'the agent was heard until it stopped');
  t.ok(fromStopMs <= mostCutMs, `silent after ${fromStopMs.toFixed(0)} ms`);
}

await t.test('a caller who speaks cuts the agent short', { skip, timeout: 120_000 }, async (t) => {
  const { daemon, server } = await scene(t, 'cut');
  const agent = await Agent.join(server, 'call-CA2', 'agent', 'recite');
  const phone = await PhoneCall.dial(daemon.mediaPort, twilioWire(account, 'CA2'));
  judge(t, phone, await interrupt(phone, agent));
  phone.hangUp();
  await agent.leave();
});

await t.test('a jambonz call is answered and cut short just so', { skip, timeout: 120_000 }, async (t) => {
  const { daemon, server } = await scene(t, 'jambonz');
  const agent = await Agent.join(server, 'call-CA6', 'agent', 'recite');
  const phone = await PhoneCall.dial(daemon.mediaPort, jambonzWire(account, 'CA6', 16_000));
  judge(t, phone, await interrupt(phone, agent));
  t.ok(
    agent.of('heard').some(({ identity }) => identity === 'phone-CA6'),
    'the agent hears the caller',
  );
  phone.press('5');
  await eventually('the digit in the room', () => agent.of('digit').some(({ digit }) => digit === '5'));
  const before = phone.heardMs.length;
  agent.press('9');
  await eventually('the digit at the phone', () => phone.heardMs.length > before);
  await agent.leave();
  await eventually('the call ends when the agent has left', () => phone.closed === 1000);
  const stored = await readStoredCall(await daemon.stored('CA6'));
  t.same(stored.findings, []);
  t.match(stored.manifest, { state: 'complete', provider: 'jambonz' });
});

await t.test(
  'a bridge process that is killed costs the call a moment',
  { skip, timeout: 120_000 },
  async (t) => {
    const { daemon, server } = await scene(t, 'killed');
    const agent = await Agent.join(server, 'call-CA3', 'agent', 'answer');
    const phone = await PhoneCall.dial(daemon.mediaPort, twilioWire(account, 'CA3'));
    const answer = async (what: string): Promise<void> => {
      const before = phone.heardMs.length;
      let looks = 0;
      await eventually(what, () => {
        if (looks++ % 40 === 0) phone.speak(100);
        return phone.heardMs.length > before;
      });
    };
    await answer('an answer');
    const ready = daemon.logs.find(({ msg }) => msg === 'bridge process is ready');
    process.kill(Number(ready?.['pid']), 'SIGKILL');
    await eventually('the loss is told', () =>
      daemon.logs.some(({ code, how }) => code === 'bridge_failed' && how === 'SIGKILL'),
    );
    await answer('an answer after it');
    t.equal(phone.closed, null);
    phone.hangUp();
    await agent.leave();
  },
);

await t.test(
  'wrong keys and a server that is gone end the call, with a reason',
  { skip, timeout: 120_000 },
  async (t) => {
    const { daemon, server } = await scene(t, 'denied', {
      apiSecret: 'another-secret-of-more-than-32-characters',
    });
    const denied = await PhoneCall.dial(daemon.mediaPort, twilioWire(account, 'CA4'));
    await eventually('the call ends', () => denied.closed === 1000);
    t.ok(
      daemon.logs.some(
        ({ code, value }) => code === 'bridge_failed' && value === 'the LiveKit server refuses it',
      ),
    );
    await server.kill();
    const unreachable = await PhoneCall.dial(daemon.mediaPort, twilioWire(account, 'CA5'));
    await eventually('the call ends', () => unreachable.closed === 1000);
    t.ok(daemon.logs.some(({ value }) => value === 'the LiveKit server cannot be reached'));
  },
);
