import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { WebSocketServer } from 'ws';
import { callCommand } from '../../src/cli/call.js';
import type { CallReport } from '../../src/simulators/CallReport.js';
import { Bot, type BotOptions } from '../../src/simulators/Bot.js';

/** Runs `reelay call` in this process; the exit code is taken back so that it doesn't become the test's own. */
async function run(args: readonly string[]): Promise<{ out: string; exitCode: number }> {
  let out = '';
  const command = callCommand().configureOutput({ writeOut: (text) => (out += text) });
  await command.parseAsync([...args], { from: 'user' });
  const exitCode = Number(process.exitCode ?? 0);
  process.exitCode = undefined;
  return { out, exitCode };
}

async function botFor(t: Test, options: BotOptions): Promise<{ bot: Bot; url: string }> {
  const bot = new Bot(options);
  t.teardown(() => bot.close());
  return { bot, url: (await bot.listen(0)).url };
}

await t.test('it calls, prints a table with percentiles, and exits with 0', async (t) => {
  const { url } = await botFor(t, { echo: true });
  const { out, exitCode } = await run([
    `${url}/twilio`,
    '--seconds',
    '0.5',
    '--account',
    'AC1',
    '--calls',
    '2',
  ]);
  t.match(out, /2 calls, 50 frames sent\. Round trip: p50 .* p90 .* p99 .* max /);
  t.match(out, 'No violations.');
  t.equal(exitCode, 0);
});

await t.test('it plays the recording that jambonz makes by itself', async (t) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const seen = new Promise<{ path: string | undefined; start: unknown; audio: number }>((resolve) => {
    server.on('connection', (socket, { url }) => {
      let start: unknown;
      let audio = 0;
      socket.on('message', (data: Buffer, isBinary) => {
        if (isBinary) audio += data.length;
        else start ??= JSON.parse(data.toString());
      });
      socket.on('close', () => resolve({ path: url, start, audio }));
    });
  });
  const url = `ws://127.0.0.1:${port}/base/record/aws_s3`;
  const { exitCode } = await run([url, '--seconds', '0.4', '--account', 'acme']);
  t.equal(exitCode, 0);
  const { path, start, audio } = await seen;
  t.equal(path, '/base/record/aws_s3');
  t.match(start, { accountSid: 'acme', mixType: 'stereo' });
  t.equal(audio, 0.4 * 8000 * 4, 'both channels');
});

await t.test('it saves what was said and heard, one file per call', async (t) => {
  const { url } = await botFor(t, { echo: true });
  const file = join(t.testdir(), 'heard.wav');
  const { out } = await run([`${url}/twilio`, '--seconds', '0.2', '-o', file]);
  t.match(out, `saved ${file}`);
  t.ok((await stat(file)).size > 6400);
  await run([`${url}/twilio`, '--seconds', '0.2', '--calls', '2', '-o', file]);
  t.ok((await stat(file.replace('.wav', '-2.wav'))).size > 6400);
});

await t.test('it speaks jambonz on a path that names it, with every script option', async (t) => {
  const { bot, url } = await botFor(t, {});
  const { out, exitCode } = await run([
    ...[`${url}/jambonz`, '--seconds', '0.8', '--mix-type', 'stereo', '--sample-rate', '16000', '--json'],
    ...['--dtmf', '100:12', '--stall', '300:100', '--drop', '500:540', '--restart', '600:50'],
    ...['--username', 'u', '--password', 'p', '--account', 'acme'],
  ]);
  const report = JSON.parse(out) as CallReport;
  t.equal(exitCode, 0, out);
  t.equal(report.calls[0]?.streams.length, 2);
  t.equal(report.latencyMs, null, 'nothing was echoed');
  t.match(bot.calls[0]?.start, { sampleRate: 16_000, mixType: 'stereo', accountSid: 'acme' });
  t.same(bot.calls[0]?.digits, ['1', '2']);
});

await t.test('violations, refusals and lost connections end with 1 and a reason', async (t) => {
  const rude = await botFor(t, { onStart: (call) => call.send('hello') });
  const first = await run([`${rude.url}/twilio`, '--seconds', '0.3']);
  t.match(first.out, /1 violations:\n {2}31951 at .*hello/);
  t.equal(first.exitCode, 1);
  const closed = await botFor(t, { refuseWith: 401 });
  const second = await run([`${closed.url}/twilio`, '--seconds', '0.3']);
  t.match(second.out, 'refused: 401');
  t.equal(second.exitCode, 1);
  const broken = await botFor(t, { onStart: (call) => call.terminate() });
  const third = await run([`${broken.url}/twilio`, '--seconds', '0.3']);
  t.match(third.out, 'broken off: server 1006');
  t.equal(third.exitCode, 1);
});

await t.test('the speech of the package is the default', async (t) => {
  const { bot, url } = await botFor(t, {});
  await run([`${url}/twilio`, '--vanish', '300']);
  const call = await bot.call(0);
  t.equal(call.frames.length, 15);
  t.notOk(call.frames.every(({ payload }) => payload.every((byte) => byte === 0xff)));
});

await t.test('options that make no sense are refused with what to give instead', async (t) => {
  for (const args of [
    ['--stall', 'x'],
    ['--dtmf', '100'],
    ['--calls', '0'],
    ['--seconds', '-1'],
    ['--param', 'x'],
  ]) {
    const command = callCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => undefined });
    await t.rejects(command.parseAsync(['ws://127.0.0.1:9/', ...args], { from: 'user' }), /Give/);
  }
});
