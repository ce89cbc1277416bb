import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { DaemonProcess } from '../DaemonProcess.js';
import { eventually } from '../eventually.js';
import { readStoredCall } from '../StoredCall.js';
import { Agent } from './Agent.js';
import { apiKey, apiSecret, LiveKitServer } from './LiveKitServer.js';
import { Onsets } from './Onsets.js';
import { PhoneCall } from './PhoneCall.js';

/*
 * Phone calls into rooms of a real LiveKit server, to a scripted agent and back. Needs the server that `.ci/livekit` builds, in
 * REELAY_LIVEKIT. REELAY_BRIDGE_TURNS says how often the caller speaks while the latency is measured.
 */
const binary = process.env['REELAY_LIVEKIT'] ?? '';
const turns = Number(process.env['REELAY_BRIDGE_TURNS'] ?? 20);
const skip = binary === '' ? 'no LiveKit server: REELAY_LIVEKIT names what .ci/livekit builds' : false;
const home = t.testdir();

const account = 'AC0123';
/** What reelay adds to what LiveKit takes itself, in both directions together, at most, ms. */
const mostAddedMs = 150;
/** How soon an agent that stops is silent at the phone, ms: what LiveKit holds of it is on its way. */
const mostCutMs = 100;

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

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

/** Of each time in the one list the time until the next one of the other. */
function delays(from: readonly number[], to: readonly number[]): number[] {
  return from.flatMap((atMs) => {
    const next = to.find((each) => each >= atMs);
    return next === undefined ? [] : [next - atMs];
  });
}

async function isIn(server: LiveKitServer, room: string): Promise<void> {
  await eventually('the phone is in the room', async () =>
    (await server.client.listParticipants(room).catch(() => [])).some(({ identity }) =>
      identity.startsWith('phone-'),
    ),
  );
}

await t.test(
  'an agent answers the phone, and both are recorded in place',
  { skip, timeout: 300_000 },
  async (t) => {
    const { daemon, server } = await scene(t, 'answer');
    const agent = await Agent.join(server, 'call-CA1', 'agent', 'answer');
    const listener = await Agent.join(server, 'call-CA1', 'listener', 'listen');
    const phone = await PhoneCall.dial(daemon.mediaPort, account, 'CA1');
    await isIn(server, 'call-CA1');
    await eventually('the first answer', () => {
      if (phone.spokeMs.length === 0 || performance.now() % 1000 < 30) phone.speak(100);
      return phone.heardMs.length > 0;
    });
    await sleep(1500);
    const [spoken, heard] = [phone.spokeMs.length, phone.heardMs.length];
    for (let turn = 0; turn < turns; turn++) {
      phone.speak(100);
      await sleep(800);
    }
    await sleep(1000);
    const spokeMs = phone.spokeMs.slice(spoken);
    const answeredMs = agent.of('answered').map(({ atMs }) => atMs);
    const up = delays(
      spokeMs,
      agent
        .of('heard')
        .filter(({ identity }) => identity.startsWith('phone-'))
        .map(({ atMs }) => atMs),
    );
    const ofTurns = answeredMs.filter((atMs) => atMs >= (spokeMs[0] ?? 0));
    const down = delays(ofTurns, phone.heardMs.slice(heard));
    const direct = delays(
      ofTurns,
      listener
        .of('heard')
        .filter(({ identity }) => identity === 'agent')
        .map(({ atMs }) => atMs),
    );
    t.equal(up.length, turns, 'every word was heard');
    t.equal(down.length, turns, 'and answered');
    const told = (values: readonly number[]): string =>
      `p50 ${percentile(values, 0.5).toFixed(0)} ms, p99 ${percentile(values, 0.99).toFixed(0)} ms`;
    t.comment(
      `phone to agent: ${told(up)}; agent to phone: ${told(down)}; agent to another participant: ${told(direct)}`,
    );
    const added = percentile(up, 0.5) + percentile(down, 0.5) - 2 * percentile(direct, 0.5);
    t.comment(`added by reelay, both ways together, p50: ${added.toFixed(0)} ms`);
    t.ok(added < mostAddedMs, `${added.toFixed(0)} ms are added`);

    phone.press('5');
    await eventually('the digit in the room', () => agent.of('digit').some(({ digit }) => digit === '5'));
    const before = phone.heardMs.length;
    agent.press('9');
    await eventually('the digit at the phone', () => phone.heardMs.length > before);
    const about = agent.of('attributes').find(({ identity }) => identity === 'phone-CA1');
    t.match(about?.attributes, { 'sip.callID': 'CA1', 'reelay.accountId': account });

    await agent.leave();
    await listener.leave();
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

await t.test('a caller who speaks cuts the agent short', { skip, timeout: 120_000 }, async (t) => {
  const { daemon, server } = await scene(t, 'cut');
  const agent = await Agent.join(server, 'call-CA2', 'agent', 'recite');
  const phone = await PhoneCall.dial(daemon.mediaPort, account, 'CA2');
  await eventually('the agent is heard', () => phone.heardMs.length > 0);
  await sleep(2000);
  phone.speak(600);
  await eventually('the agent stops', () => agent.of('stopped').length > 0);
  const stoppedMs = agent.of('stopped').reduce((first, { atMs }) => Math.min(first, atMs), Infinity);
  await sleep(1500);
  const cutMs = phone.silentSinceMs - stoppedMs;
  t.comment(`silent ${cutMs.toFixed(0)} ms after the agent stopped, ${phone.clears} clear`);
  t.ok(cutMs < mostCutMs, `silent after ${cutMs.toFixed(0)} ms`);
  phone.hangUp();
  await agent.leave();
});

await t.test(
  'a bridge process that is killed costs the call a moment',
  { skip, timeout: 120_000 },
  async (t) => {
    const { daemon, server } = await scene(t, 'killed');
    await Agent.join(server, 'call-CA3', 'agent', 'answer');
    const phone = await PhoneCall.dial(daemon.mediaPort, account, 'CA3');
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
  },
);

await t.test(
  'wrong keys and a server that is gone end the call, with a reason',
  { skip, timeout: 120_000 },
  async (t) => {
    const { daemon, server } = await scene(t, 'denied', {
      apiSecret: 'another-secret-of-more-than-32-characters',
    });
    const denied = await PhoneCall.dial(daemon.mediaPort, account, 'CA4');
    await eventually('the call ends', () => denied.closed === 1000);
    t.ok(
      daemon.logs.some(
        ({ code, value }) => code === 'bridge_failed' && value === 'the LiveKit server refuses it',
      ),
    );
    await server.kill();
    const unreachable = await PhoneCall.dial(daemon.mediaPort, account, 'CA5');
    await eventually('the call ends', () => unreachable.closed === 1000);
    t.ok(daemon.logs.some(({ value }) => value === 'the LiveKit server cannot be reached'));
  },
);
