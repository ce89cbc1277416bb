import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';

const module = JSON.stringify(new URL('../../src/config/threadLog.js', import.meta.url).href);

/** Runs a script that has `threadLog` and `lastLines`. */
function run(t: Test, folder: string, script: string, stdout: 'pipe' | number): ChildProcess {
  const env = { ...process.env };
  delete env['NODE_OPTIONS'];
  const whole = `const { threadLog, lastLines } = await import(${module});\n${script}`;
  const file = join(folder, 'script.mjs');
  writeFileSync(file, whole);
  const child = spawn(process.execPath, [file], { stdio: ['ignore', stdout, 'pipe'], env });
  t.teardown(() => child.kill('SIGKILL'));
  return child;
}

/** A pipe that nobody reads, as a descriptor to write to. */
function deafPipe(t: Test, folder: string): number {
  const path = join(folder, 'fifo');
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY);
  t.teardown(() => {
    closeSync(reader);
    closeSync(writer);
  });
  return writer;
}

const flood = `for (let line = 0; line < 10000; line++) log.info({ line, text: 'x'.repeat(1000) });`;

await t.test('lines that nobody reads are dropped, and those that are read are whole', async (t) => {
  const folder = t.testdir();
  const script = `
    const log = threadLog('media');
    ${flood}
    process.stderr.write('done');
  `;
  const child = run(t, folder, script, 'pipe');
  await once(child.stderr ?? child, 'data');
  let text = '';
  child.stdout?.on('data', (part: Buffer) => (text += part.toString()));
  await once(child, 'close');
  const lines = text.trimEnd().split('\n');
  t.ok(lines.length > 100 && lines.length < 5000, `${lines.length} lines`);
  t.match(JSON.parse(lines[0] ?? ''), { thread: 'media', line: 0 });
  for (const line of lines) JSON.parse(line);
});

for (const kind of ['pipe', 'socket'] as const) {
  await t.test(
    `a ${kind} that nobody reads keeps neither the process nor a thread from ending`,
    async (t) => {
      const folder = t.testdir();
      const file = join(folder, 'thread.mjs');
      writeFileSync(
        file,
        `import { parentPort } from 'node:worker_threads';
      const { threadLog } = await import(${module});
      const log = threadLog('recorder');
      ${flood}
      setInterval(() => undefined, 1000);
      parentPort.postMessage('flooded');`,
      );
      const script = `
      import { Worker } from 'node:worker_threads';
      const log = threadLog('media');
      const thread = new Worker(${JSON.stringify(file)});
      let failed = 'nothing';
      thread.on('error', (error) => (failed = error.message));
      await new Promise((resolve) => thread.once('message', resolve));
      ${flood}
      const before = process.memoryUsage().rss;
      ${flood}
      // Turns of the loop, in which a write that fails would throw.
      for (let turn = 0; turn < 400; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
      const grown = process.memoryUsage().rss - before;
      await thread.terminate();
      await lastLines(log);
      process.stderr.write(JSON.stringify({ failed, grown }));
      process.exit(7);
    `;
      const child = run(t, folder, script, kind === 'pipe' ? deafPipe(t, folder) : 'pipe');
      let said = '';
      child.stderr?.on('data', (part: Buffer) => (said += part.toString()));
      const [code] = (await once(child, 'exit')) as [number];
      t.equal(code, 7, said);
      const { failed, grown } = JSON.parse(said) as { failed: string; grown: number };
      t.equal(failed, 'nothing', 'the thread was ended by the one who asked for it');
      t.ok(grown < 16 * 1024 * 1024, `${grown} bytes more`);
    },
  );
}

await t.test('into a file every line is written', async (t) => {
  const folder = t.testdir();
  const file = join(folder, 'log');
  const fd = openSync(file, 'w');
  const child = run(
    t,
    folder,
    `const log = threadLog('control'); for (let line = 0; line < 500; line++) log.info({ line }); await lastLines(log); process.exit(0);`,
    fd,
  );
  await once(child, 'exit');
  closeSync(fd);
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  t.equal(lines.length, 500);
  t.match(JSON.parse(lines.at(-1) ?? ''), { thread: 'control', line: 499 });
});

await t.test('lines about recordings are set aside, too, and no others', async (t) => {
  const folder = t.testdir();
  const script = `
    const log = threadLog('media', 'info', (line) => process.stderr.write(line));
    log.info({ callId: 'CA1', recordingId: null }, 'never recorded');
    log.info({ text: '"recordingId":"r1"' }, 'only said');
    const call = log.child({ callId: 'CA1', recordingId: 'r1' });
    call.debug('below the level');
    call.info({ streamId: 'MZ1' }, 'about r1');
    await lastLines(log);
    process.exit(0);
  `;
  const child = run(t, folder, script, 'pipe');
  let aside = '';
  let all = '';
  child.stderr?.on('data', (part: Buffer) => (aside += part.toString()));
  child.stdout?.on('data', (part: Buffer) => (all += part.toString()));
  await once(child, 'close');
  t.match(JSON.parse(aside), {
    thread: 'media',
    callId: 'CA1',
    recordingId: 'r1',
    streamId: 'MZ1',
    msg: 'about r1',
  });
  t.equal(all.trimEnd().split('\n').length, 3, 'and every line is on stdout');
});
