import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import t from 'tap';
import { chooseCores } from '../../bench/peers/cores.js';
import { measure } from '../../bench/peers/measure.js';
import type { RunningSubject, Stage, Subject } from '../../bench/peers/Subject.js';
import { allSubjects } from '../../bench/peers/subjects.js';
import { threadTimes } from '../../bench/peers/threadTimes.js';
import { eventually } from '../acceptance/eventually.js';

/* Each peer for a moment, with two calls: that it passes frames on as they were sent, and leaves nothing behind. */

const timing = { settleMs: 0, windowMs: 300, drainMs: 5000 };
const oneDialect = ['twilio'] as const;
const bothDialects = ['twilio', 'jambonz'] as const;
const subjects = allSubjects();
const hasCompiler = spawnSync(process.env['CC'] ?? 'cc', ['--version'], { stdio: 'ignore' }).status === 0;

interface Seen {
  dir: string;
  port: number;
  pids: readonly number[];
  /** CPU that the live path had used by the time it was ready, ns. */
  liveNs: number;
}

/** The subject, and what was seen of it. */
function watched(subject: Subject): { subject: Subject; seen: Seen } {
  const seen: Seen = { dir: '', port: 0, pids: [], liveNs: 0 };
  const start = async (stage: Stage): Promise<RunningSubject> => {
    const running = await subject.start(stage);
    const live = threadTimes(running.pids).filter((thread) => running.isLive(thread));
    const liveNs = live.reduce((sum, { ns }) => sum + ns, 0);
    Object.assign(seen, { dir: stage.dir, port: running.port, pids: running.pids, liveNs });
    return running;
  };
  return { subject: { ...subject, start }, seen };
}

/** One that has ended and that nobody has asked about yet doesn't run any more. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

void t.test('names are unique, and the base comes first', (t) => {
  t.equal(subjects[0]?.name, 'nginx');
  t.equal(new Set(subjects.map(({ name }) => name)).size, subjects.length);
  t.end();
});

if (!hasCompiler) {
  void t.test('without a compiler there is no load, and it says so', async (t) => {
    const [first] = subjects;
    if (first === undefined) throw new Error('there are subjects');
    const measured = measure(first, { dialect: 'twilio', calls: 2, cores: chooseCores(), timing });
    await t.rejects(measured, { message: /install a C compiler/ });
  });
}

for (const each of subjects.filter(({ name }) => hasCompiler && !name.startsWith('reelay-'))) {
  void t.test(each.name, async (t) => {
    const missing = each.missing();
    if (missing !== null) {
      t.match(missing, /is not installed \(.+\)$/, 'it says what to install');
      return;
    }
    const { subject, seen } = watched(each);
    // The others don't know one from the other.
    const dialects = ['reelay', 'ws-recording'].includes(each.name) ? bothDialects : oneDialect;
    for (const dialect of dialects) {
      const run = await measure(subject, { dialect, calls: 2, cores: chooseCores(), timing });
      t.same(run.problems, [], `${dialect}: no problems`);
      t.ok(run.report.windowSent > 0 && run.report.up === 2, `${dialect}: both calls spoke`);
      t.ok(seen.liveNs > 0 && run.allUs >= run.liveUs, `${dialect}: CPU was counted`);
      t.notOk(existsSync(seen.dir), `${dialect}: its folder is gone`);
      const [error] = (await once(connect(seen.port, '127.0.0.1'), 'error')) as [NodeJS.ErrnoException];
      t.equal(error.code, 'ECONNREFUSED', `${dialect}: nobody listens any more`);
      await eventually(`${dialect}: its processes are gone`, () => !seen.pids.some(isRunning));
    }
  });
}
