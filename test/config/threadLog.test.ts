import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';

await t.test('lines that nobody reads are dropped, and those that are read are whole', async (t) => {
  const module = new URL('../../src/config/threadLog.js', import.meta.url).href;
  const script = `
    const { threadLog } = await import(${JSON.stringify(module)});
    const log = threadLog('media');
    for (let line = 0; line < 10000; line++) log.info({ line, text: 'x'.repeat(1000) });
    process.stderr.write('done');
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'pipe' });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stderr, 'data');
  let text = '';
  child.stdout.on('data', (part: Buffer) => (text += part.toString()));
  await once(child, 'close');
  const lines = text.trimEnd().split('\n');
  t.ok(lines.length > 100 && lines.length < 5000, `${lines.length} lines`);
  t.match(JSON.parse(lines[0] ?? ''), { thread: 'media', line: 0 });
  for (const line of lines) JSON.parse(line);
});
