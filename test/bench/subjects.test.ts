import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { chooseCores } from '../../bench/peers/cores.js';
import { measure } from '../../bench/peers/measure.js';
import { eventually } from '../acceptance/eventually.js';
import type { RunningSubject, Stage, Subject } from '../../bench/peers/Subject.js';
import { allSubjects } from '../../bench/peers/subjects.js';

/* Each peer for a moment, with two calls: that it passes frames on as they were sent, and leaves nothing behind. */

const timing = { settleMs: 0, windowMs: 300, drainMs: 5000 };
const subjects = allSubjects();
const hasCompiler = spawnSync(process.env['CC'] ?? 'cc', ['--version'], { stdio: 'ignore' }).status === 0;

/** The subject, and where it ran. */
function watched(subject: Subject): { subject: Subject; seen: { stage?: Stage; pids: readonly number[] } } {
  const seen: { stage?: Stage; pids: readonly number[] } = { pids: [] };
  const start = async (stage: Stage): Promise<RunningSubject> => {
    const running = await subject.start(stage);
    seen.stage = stage;
    seen.pids = running.pids;
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
    const dialects = subject.traffic === 'relay' ? (['twilio', 'jambonz'] as const) : (['twilio'] as const);
    for (const dialect of dialects) {
      const run = await measure(subject, { dialect, calls: 2, cores: chooseCores(), timing });
      t.same(run.problems, [], `${dialect}: no problems`);
      t.ok(run.report.windowSent > 0 && run.report.up === 2, `${dialect}: both calls spoke`);
      t.ok(run.liveUs > 0 && run.allUs >= run.liveUs, `${dialect}: CPU was counted`);
      t.notOk(existsSync(seen.stage?.dir ?? '/'), `${dialect}: its folder is gone`);
      await eventually(`${dialect}: its processes are gone`, () => !seen.pids.some(isRunning));
    }
  });
}
