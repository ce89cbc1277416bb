import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { CallLog, callLogBytes } from '../../src/control/monitoring/CallLog.js';
import { Counters } from '../../src/tap/Counters.js';

function logIn(dir: string, mostBytes = 64 * 1024): CallLog {
  const log = new CallLog({ dir, mostBytes, counters: new Counters() });
  log.start();
  return log;
}

function line(recordingId: string, n: number, more = {}): string {
  return `${JSON.stringify({ level: 30, time: 1_000_000 + n, thread: 'media', recordingId, n, ...more })}\n`;
}

function numbers(lines: readonly Readonly<Record<string, unknown>>[]): unknown[] {
  return lines.map(({ n }) => n);
}

await t.test('the lines of one recording are found, in order, also by a successor', async (t) => {
  const dir = t.testdir({});
  const log = logIn(dir);
  for (let n = 0; n < 300; n++) log.take([line(`r${n % 3}`, n)]);
  const { lines, leftOut, sinceMs } = await log.linesOf('r1');
  t.strictSame(
    numbers(lines),
    Array.from({ length: 100 }, (_, at) => 3 * at + 1),
  );
  t.equal(leftOut, 0);
  t.equal(sinceMs, 1_000_000);
  t.strictSame((await log.linesOf('r')).lines, [], 'a part of an id is another id');
  const successor = logIn(dir);
  successor.take([line('r1', 300)]);
  t.equal((await successor.linesOf('r1')).lines.length, 101);
});

await t.test('an id that only stands in a text names nothing', async (t) => {
  const log = logIn(t.testdir({}));
  log.take([line('mine', 1), line('other', 2, { msg: 'instead of "recordingId":"mine"', folder: 'a/mine' })]);
  t.strictSame(numbers((await log.linesOf('mine')).lines), [1]);
});

await t.test('a line that a crash has cut costs no other one', async (t) => {
  const dir = t.testdir({});
  const log = logIn(dir);
  log.take([line('r', 1)]);
  await log.flush();
  appendFileSync(join(dir, 'calls.jsonl'), '{"level":30,"recordingId":"r","n":2');
  t.strictSame(numbers((await log.linesOf('r')).lines), [1]);
  const successor = logIn(dir);
  successor.take([line('r', 3)]);
  t.strictSame(numbers((await successor.linesOf('r')).lines), [1, 3]);
});

await t.test('the files stay within their size, and the newest lines in them', async (t) => {
  const dir = t.testdir({});
  const log = logIn(dir, 16 * 1024);
  const count = 2000;
  for (let n = 0; n < count; n++) {
    log.take([line('r', n)]);
    if (n % 20 === 0) await log.flush();
  }
  const { lines, sinceMs } = await log.linesOf('r');
  for (const name of ['calls.jsonl', 'calls.1.jsonl']) {
    const { size } = statSync(join(dir, name));
    t.ok(size > 0 && size <= 16 * 1024, `${name} has ${size} bytes`);
  }
  const [first] = numbers(lines) as number[];
  t.ok(first !== undefined && first > 0 && lines.length > 100, `${lines.length} lines from ${first ?? '?'}`);
  t.strictSame(
    numbers(lines),
    Array.from({ length: lines.length }, (_, at) => count - lines.length + at),
  );
  t.equal(sinceMs, 1_000_000 + (first ?? 0));
});

await t.test('too many lines of one recording are its last ones', async (t) => {
  const log = logIn(t.testdir({}), 4 * 2 ** 20);
  for (let n = 0; n < 6000; n++) log.take([line('r', n)]);
  const { lines, leftOut } = await log.linesOf('r');
  t.equal(lines.length, 5000);
  t.equal(leftOut, 1000);
  t.equal(lines.at(-1)?.['n'], 5999);
});

await t.test('nothing is touched before it may be, and what waits has a bound', async (t) => {
  const dir = t.testdir({});
  const log = new CallLog({ dir, mostBytes: 2 ** 20, counters: new Counters() });
  log.take([line('r', 1)]);
  await log.flush();
  t.notOk(existsSync(join(dir, 'calls.jsonl')));
  for (let n = 2; n < 1100; n++) log.take([line('r', n, { text: 'x'.repeat(1024) })]);
  const { control } = log.lost;
  t.ok(control > 0 && control < 500, `${control} are lost`);
  log.start();
  await log.flush();
  t.equal(readFileSync(join(dir, 'calls.jsonl'), 'utf8').split('\n').length - 1, 1099 - control);
});

await t.test('a disk that refuses costs lines and nothing else', async (t) => {
  const counters = new Counters();
  counters.add('mediaLinesDropped', 2);
  counters.add('recorderLinesDropped', 3);
  const log = new CallLog({ dir: join(t.testdir({}), 'nowhere'), mostBytes: 2 ** 20, counters });
  log.start();
  log.take([line('r', 1), line('r', 2)]);
  t.strictSame(await log.linesOf('r'), { lines: [], leftOut: 0, sinceMs: null });
  t.strictSame(log.lost, { media: 2, recorder: 3, control: 2 });
});

await t.test('what lies in its place and is no file is left alone', async (t) => {
  const dir = t.testdir({});
  execFileSync('mkfifo', [join(dir, 'calls.jsonl')]);
  const log = logIn(dir);
  log.take([line('r', 1)]);
  await log.flush();
  t.equal(log.lost.control, 1);
  await t.rejects(log.linesOf('r'), /no plain file/);
});

await t.test('a small spool has small files', (t) => {
  t.equal(callLogBytes(10 * 2 ** 30), 16 * 2 ** 20);
  t.equal(callLogBytes(16 * 2 ** 20), 256 * 1024);
  t.end();
});
