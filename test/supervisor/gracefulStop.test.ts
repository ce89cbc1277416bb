import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import { DaemonProcess } from '../acceptance/DaemonProcess.js';
import { eventually } from '../acceptance/eventually.js';
import { NumberedCall } from '../acceptance/NumberedCall.js';
import { freePort } from '../fixtures/freePort.js';

async function daemonIn(t: Test, drainSeconds = 60): Promise<DaemonProcess> {
  const daemon = await DaemonProcess.start({
    dir: join(t.testdir(), 'daemon'),
    accounts: [{ id: 'AC1', resumeSeconds: 60, jambonz: { returns: 'playAudio' } }],
    config: { media: { drainSeconds } },
  });
  t.teardown(() => daemon.kill());
  return daemon;
}

/** A call that is up and has said something. */
async function callOf(daemon: DaemonProcess): Promise<{ call: NumberedCall; over: Promise<void> }> {
  const common = { accountSid: 'AC1', callSid: randomUUID(), seed: 1, sampleRate: 8000, speed: 1 };
  const call = new NumberedCall({ url: daemon.media('/jambonz'), seconds: 120, ...common });
  const over = call.speak();
  await eventually('the call has said something', () => call.acknowledgedAt(performance.now()) > 0);
  return { call, over };
}

/** Asks a running daemon to end; resolves when it has begun to. */
async function stopping(daemon: DaemonProcess): Promise<void> {
  daemon.signal('SIGTERM');
  await eventually('it ends', () => daemon.logs.some(({ msg }) => msg.startsWith('ending:')));
}

async function refusalOf(daemon: DaemonProcess): Promise<number> {
  const socket = new WebSocket(daemon.media('/jambonz'), 'audio.drachtio.org');
  socket.on('error', () => undefined);
  return await new Promise((resolve) => {
    socket.on('unexpected-response', (_request, { statusCode = 0 }) => resolve(statusCode));
    socket.on('open', () => resolve(101));
  });
}

void t.test('calls end by themselves, new ones are sent elsewhere, and nothing is left', async (t) => {
  const daemon = await daemonIn(t);
  const { call, over } = await callOf(daemon);
  await stopping(daemon);
  const media = `http://127.0.0.1:${daemon.mediaPort}`;
  t.equal((await fetch(`${media}/readyz`)).status, 503);
  t.equal((await daemon.get('/readyz')).status, 503);
  t.equal((await fetch(`${media}/healthz`)).status, 200);
  const voice = await fetch(`${media}/twilio/voice`, { method: 'POST', body: 'AccountSid=AC1&CallSid=CA1' });
  t.equal(voice.status, 503, 'Twilio takes its fallback');
  t.match(await voice.json(), { code: 'draining' });
  t.equal(await refusalOf(daemon), 503);
  daemon.reload();
  await eventually('it reads its configuration', () =>
    daemon.logs.some(({ msg }) => msg === 'the configuration is in force'),
  );
  t.ok(daemon.alive);
  call.hangUp();
  await over;
  t.ok(call.ended, 'the call ended as it was meant to');
  t.same(await daemon.gone(), { code: 0, signal: null }, 'nobody is waited for who could come back');
  t.match((await daemonAgain(t, daemon, call)).manifest, { state: 'complete', reason: null });
});

/** The recording of a call, as the next start shows it. */
async function daemonAgain(
  t: Test,
  daemon: DaemonProcess,
  call: NumberedCall,
): Promise<{ manifest: { state: string; reason: string | null } }> {
  await daemon.restart();
  const stored = await (await daemon.stored(call.options.callSid)).read();
  await daemon.kill();
  const manifest = stored.manifest?.value;
  if (!manifest) t.fail('there is no manifest');
  return { manifest: manifest ?? { state: '', reason: null } };
}

void t.test('a signal that comes as soon as calls may come ends the daemon like any other', async (t) => {
  const port = await freePort();
  const daemon = DaemonProcess.prepare({
    dir: join(t.testdir(), 'daemon'),
    accounts: [{ id: 'AC1' }],
    config: { media: { port } },
  });
  t.teardown(() => daemon.kill());
  const started = daemon.restart();
  const healthy = async (): Promise<boolean> =>
    await fetch(`http://127.0.0.1:${port}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await healthy()));
  t.same(await daemon.kill('SIGTERM'), { code: 0, signal: null });
  await started;
});

void t.test('a second signal cuts the calls that are up', async (t) => {
  const daemon = await daemonIn(t);
  const { call, over } = await callOf(daemon);
  await stopping(daemon);
  daemon.signal('SIGINT');
  const { code } = await daemon.gone();
  // On a machine that is busy with something else its store has too little time, and the next start has the rest.
  const stopped = daemon.logs.find(({ msg }) => msg === 'reelay has stopped');
  t.equal(code, stopped?.['unstored'] === 0 ? 0 : 75);
  await over;
  t.notOk(call.ended);
  const asked = 'ending at once, as asked';
  const cut = 'calls that are still up are cut';
  const said = daemon.logs.map(({ msg }) => msg).filter((msg) => msg === asked || msg === cut);
  t.strictSame(said, [asked, cut]);
  t.match((await daemonAgain(t, daemon, call)).manifest, { state: 'interrupted', reason: 'end_missed' });
});

void t.test('calls that outlast drainSeconds are cut, and a reload may say how long that is', async (t) => {
  const daemon = await daemonIn(t, 3600);
  const { over } = await callOf(daemon);
  await stopping(daemon);
  const file = join(daemon.dir, 'reelay.json');
  writeFileSync(file, 'media: [');
  daemon.reload();
  await eventually('the broken file is refused', () => daemon.logged(50).length > 0);
  t.ok(daemon.alive, 'the configuration in force stays');
  const media = { host: '127.0.0.1', port: 0, drainSeconds: 1 };
  const accounts = [{ id: 'AC1', store: { type: 'file', dir: 'recordings' } }];
  const control = { host: '127.0.0.1', port: 0 };
  writeFileSync(file, JSON.stringify({ media, control, spool: { dir: daemon.spoolDir }, accounts }));
  daemon.reload();
  t.same(await daemon.gone(), { code: 0, signal: null });
  await over;
});

void t.test('what cannot be stored is left for the next start, and the exit code says so', async (t) => {
  const daemon = await daemonIn(t);
  const { call, over } = await callOf(daemon);
  rmSync(daemon.storeDir, { recursive: true, force: true });
  writeFileSync(daemon.storeDir, 'in the way');
  await stopping(daemon);
  call.hangUp();
  await over;
  t.same(await daemon.gone(), { code: 75, signal: null });
  rmSync(daemon.storeDir);
  t.match((await daemonAgain(t, daemon, call)).manifest, { state: 'complete' });
});
