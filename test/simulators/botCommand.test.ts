import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { TwilioCaller } from '../../src/simulators/TwilioCaller.js';

const entry = new URL('../../src/cli/bot.js', import.meta.url).href;

/** `reelay bot` in a process of its own, for it runs until a signal comes. */
async function start(t: Test, ...args: string[]) {
  const code = `const { botCommand } = await import(${JSON.stringify(entry)});
    await botCommand().parseAsync(process.argv.slice(1), { from: 'user' });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code, '--', '--port', '0', ...args]);
  t.teardown(() => child.kill('SIGKILL'));
  const lines: string[] = [];
  const reader = createInterface(child.stdout);
  const first = await new Promise<string>((resolve, reject) => {
    reader.once('line', resolve);
    child.once('exit', (status) => reject(new Error(`it ended with ${status}`)));
  });
  reader.on('line', (line) => lines.push(line));
  return { child, first, lines, url: /ws:\S+/.exec(first)?.[0] ?? '' };
}

async function stop(child: ChildProcessWithoutNullStreams): Promise<number | null> {
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  child.kill('SIGTERM');
  return ended;
}

await t.test('it echoes, tells of its calls, and ends with 0 on a signal', async (t) => {
  const { child, first, lines, url } = await start(t, '--echo');
  t.match(first, /^bot listens on ws:\/\/127\.0\.0\.1:\d+ and echoes$/);
  const result = await new TwilioCaller({ url: `${url}/twilio`, seconds: 0.5 }).call();
  t.ok(result.latency.samples > 0);
  t.equal(await stop(child), 0);
  t.match(lines, [
    new RegExp(`${result.callSid} began`),
    new RegExp(`${result.callSid} ended with 1000 after 25`),
  ]);
});

await t.test('it speaks the speech of the package unless told otherwise', async (t) => {
  const { child, url } = await start(t, '--message-ms', '1000');
  const caller = new TwilioCaller({ url: `${url}/twilio` });
  const done = caller.call();
  await new Promise((resolve) => caller.once('media', resolve));
  caller.hangUp();
  const [stream] = (await done).streams;
  t.equal(stream?.receipts[0]?.samples, 8000);
  t.equal(await stop(child), 0);
});

await t.test('a file that cannot be read ends it at once', async (t) => {
  await t.rejects(start(t, '--say', '/nowhere/speech.wav'), /it ended with 1/);
});
