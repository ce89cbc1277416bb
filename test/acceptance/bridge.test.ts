import { createRequire } from 'node:module';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { DaemonProcess } from './DaemonProcess.js';
import { eventually } from './eventually.js';
import { PhoneCall } from './rooms/PhoneCall.js';
import { twilioWire } from './rooms/PhoneWire.js';
import { freePort } from '../fixtures/freePort.js';

/* The daemon and its bridge processes, with LiveKit's own SDK and no server: that one is asked for in rooms/bridge.test.ts. */
const skip = hasSdk() ? false : '@livekit/rtc-node is not installed';
const home = t.testdir();
const account = 'AC0123';

function hasSdk(): boolean {
  try {
    return createRequire(import.meta.url).resolve('@livekit/rtc-node') !== '';
  } catch {
    return false;
  }
}

interface Bridged {
  readonly daemon: DaemonProcess;
  /** Of its bridge process. */
  readonly pid: number;
}

async function bridged(t: Test, name: string): Promise<Bridged> {
  const livekit = {
    url: `ws://127.0.0.1:${await freePort()}`,
    apiKey: 'key',
    apiSecret: 'a-secret-of-more-than-32-characters',
  };
  const accounts = [{ id: account, upstream: 'livekit://call-{callId}', livekit }];
  const daemon = await DaemonProcess.start({ dir: join(home, name), accounts });
  t.teardown(() => daemon.kill());
  const pid = await eventually('a bridge process is ready', () => {
    const line = daemon.logs.find(({ msg }) => msg === 'bridge process is ready');
    return line === undefined ? undefined : Number(line['pid']);
  });
  return { daemon, pid };
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

await t.test(
  'a server that is not there ends the call, is told, and costs the recording nothing',
  { skip },
  async (t) => {
    const { daemon } = await bridged(t, 'unreachable');
    t.equal(await daemon.metric('reelay_bridge_processes'), 1);
    const phone = await PhoneCall.dial(daemon.mediaPort, twilioWire(account, 'CA1'));
    phone.speak(1000);
    await eventually('the call is closed', () => phone.closed === 1000);
    t.ok(
      daemon.logs.some(
        ({ code, value }) => code === 'bridge_failed' && value === 'the LiveKit server cannot be reached',
      ),
    );
    t.notOk(JSON.stringify(daemon.logs).includes('access_token=ey'), 'no token is logged');
    await eventually(
      'its failure is counted',
      async () => (await daemon.metric('reelay_bridge_failures_total')) === 1,
    );
    const { manifest } = await (await daemon.stored('CA1')).read();
    t.equal(manifest?.value?.state, 'complete');
  },
);

await t.test('a daemon that ends takes its bridge processes along', { skip }, async (t) => {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const { daemon, pid } = await bridged(t, signal);
    t.ok(isThere(pid));
    const { code } = await daemon.kill(signal);
    if (signal === 'SIGTERM') t.equal(code, 0);
    await eventually(`after ${signal} it is gone`, () => !isThere(pid));
  }
});
