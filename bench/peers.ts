/*
 * What reelay costs beside other relays that calls could go through: CPU per frame, round trips, and how many calls each holds, in one run.
 *
 *     npm run bench -- [calls=50,200,500,1000] [seconds=5] [settle=10] [runs=5] [searches=1] [most=4000]
 *         [subjects=nginx,reelay] [dialect=twilio,jambonz] [short]
 *
 * Each subject's live path has a processor of its own. Callers and bot are a program in C (bench/load), which numbers every frame and
 * checks what comes back. At each number of calls all subjects take turns, in an order that rotates. Calls have been up for `settle`
 * seconds when they are measured: what is compiled while it runs, and what begins with each call, would else be most of what is found,
 * though a daemon runs for weeks and is not called by all at once. `short` is for CI: few calls, one round, no search for the number
 * of calls that each subject holds.
 *
 * Writes the result as JSON, a table and a plot into bench/results/. Exit 1 when a frame is lost, out of order or changed, or a subject
 * fails; else 2 when a subject is missing on this machine.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { argument, numbers, words } from './argument.js';
import { acceptance } from './peers/acceptance.js';
import type { BenchResult, LeftOut } from './peers/BenchResult.js';
import { capacityOf, searchMs } from './peers/capacity.js';
import { chooseCores, pinProcess } from './peers/cores.js';
import { markdown } from './peers/markdown.js';
import { callsPerSecond, measure, type Run, type Timing } from './peers/measure.js';
import { plot } from './peers/plot.js';
import { type Capacity, isOverloaded, type Row, rowOf, spreadOf } from './peers/Row.js';
import type { Subject } from './peers/Subject.js';
import { allSubjects } from './peers/subjects.js';

type Dialect = Run['dialect'];

const isShort = process.argv.includes('short');
const calls = numbers('calls', isShort ? [20] : [50, 200, 500, 1000]);
const seconds = argument('seconds', isShort ? 2 : 5);
const rounds = argument('runs', isShort ? 1 : 5);
const searches = isShort ? 0 : argument('searches', 1);
/** That are tried in the search; callers have some 28,000 ports, and so have the relays. */
const most = argument('most', 4000);
const dialects = words('dialect', ['twilio', 'jambonz'], ['twilio', 'jambonz']);
const isDialectChosen = process.argv.some((text) => text.startsWith('dialect='));
const timing = {
  settleMs: isShort ? 500 : argument('settle', 10) * 1000,
  windowMs: seconds * 1000,
  drainMs: 5000,
};
/** Rows of the second dialect, unless it is asked for: it differs from the first in what a frame costs, not in how calls add up. */
const secondRows = { least: 200, most: 500 };
const base = 'nginx';
const results = fileURLToPath(new URL('../../bench/results/', import.meta.url));

const known = allSubjects();
const names = words(
  'subjects',
  known.map(({ name }) => name),
  known.map(({ name }) => name),
);
const chosen = known.filter(({ name }) => names.includes(name));
const missing = new Map(chosen.map((subject) => [subject.name, subject.missing()]));
const present = chosen.filter(({ name }) => missing.get(name) === null);
const cores = chooseCores();
pinProcess(process.pid, cores.rest);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const rows: Row[] = [];
const capacities: Capacity[] = [];
const allRuns: Run[] = [];
const leftOut: LeftOut[] = [];
const failures: string[] = [];
tellPlan();
for (const dialect of dialects)
  for (const count of countsOf(dialect)) rows.push(...(await rowsAt(dialect, count)));
if (searches > 0) for (const subject of present) await search(subject);
process.exitCode = conclude();

function tellPlan(): void {
  const planned = dialects.reduce((sum, dialect) => {
    const subjects = present.filter((subject) => isWanted(subject, dialect));
    return sum + subjects.length * countsOf(dialect).length * rounds;
  }, 0);
  const looked = searches * present.length;
  console.log(
    `up to ${planned} runs of some ${seconds + 6 + timing.settleMs / 1000} s, then ${looked} searches of at most ${searchMs / 1000} s, twice that where recording is what falls short`,
  );
}

function countsOf(dialect: Dialect): readonly number[] {
  if (isDialectChosen || dialect === dialects[0]) return calls;
  const some = calls.filter((count) => count >= secondRows.least && count <= secondRows.most);
  return some.length > 0 ? some : calls;
}

/** All subjects at one number of calls, round after round. */
async function rowsAt(dialect: Dialect, count: number): Promise<Row[]> {
  const subjects = present.filter(
    (subject) => isWanted(subject, dialect) && !isTooMuch(subject.name, dialect, count),
  );
  const runs = new Map(subjects.map(({ name }): [string, (Run | null)[]] => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const subject of rotated(subjects, round)) {
      const run = await attempt(subject.name, () =>
        measure(subject, { dialect, calls: count, cores, timing }),
      );
      runs.get(subject.name)?.push(run);
      if (run !== null) tell(run);
    }
  }
  return subjects.flatMap(({ name }) => {
    const own = runs.get(name) ?? [];
    return own.some((run) => run !== null) ? [rowOf(own, runs.get(base) ?? [])] : [];
  });
}

function isWanted({ traffic, hasRows }: Subject, dialect: Dialect): boolean {
  // What recorders are sent is the same whatever the dialect.
  return hasRows && (traffic === 'relay' || dialect === dialects[0]);
}

/** Who had more calls than it holds before isn't given even more. */
function isTooMuch(name: string, dialect: Dialect, count: number): boolean {
  const before = rows.find((row) => row.subject === name && row.dialect === dialect && isOverloaded(row));
  if (before === undefined || before.calls > count) return false;
  leftOut.push({ subject: name, dialect, calls: count, overloadedAt: before.calls });
  return true;
}

async function search(subject: Subject): Promise<void> {
  const [dialect = 'twilio'] = dialects;
  const own = rows.filter((row) => row.subject === subject.name && row.dialect === dialect);
  const run = async (calls: number, timing: Timing): Promise<Run> => {
    const probed = await measure(subject, { dialect, calls, cores, timing });
    tell(probed);
    return probed;
  };
  const order = { dialect, run, searches, most, rows: own };
  const capacity = await attempt(subject.name, () => capacityOf(subject.name, order));
  if (capacity !== null) capacities.push(capacity);
}

/** A subject that fails doesn't take the others' results with it. */
async function attempt<T>(name: string, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    console.log(`FAILED ${failures.at(-1)}`);
    return null;
  }
}

function rotated(subjects: readonly Subject[], by: number): Subject[] {
  const from = subjects.length === 0 ? 0 : by % subjects.length;
  return [...subjects.slice(from), ...subjects.slice(0, from)];
}

function tell(run: Run): void {
  allRuns.push(run);
  const { subject, dialect, liveUs, allUs, p50, p99, p999, lateness } = run;
  const state = run.isOverloaded ? ' OVERLOADED' : '';
  console.log(
    `${subject.padEnd(16)} ${dialect} ${String(run.calls).padStart(5)} calls  ${liveUs.toFixed(1).padStart(6)} µs/frame, all ${allUs.toFixed(1).padStart(6)}  ` +
      `p50 ${p50.toFixed(2)}  p99 ${p99.toFixed(2)}  p99.9 ${p999.toFixed(2)} ms  load late ${lateness.toFixed(2)} ms${state}`,
  );
  for (const problem of run.problems) console.log(`  PROBLEM ${problem}`);
}

/** @returns the exit code */
function conclude(): number {
  const at = new Date().toISOString();
  const result: BenchResult = {
    at,
    machine: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, Linux ${release()}, Node ${process.version}`,
    setting: setting(),
    base,
    subjects: chosen.map(({ name, about, traffic }) => ({
      name,
      about,
      traffic,
      missing: missing.get(name) ?? null,
    })),
    rows,
    capacities,
    runs: allRuns,
    leftOut,
    failures,
  };
  write(result, at.replaceAll(':', '-').replace(/\..*$/, ''));
  const isDamaged =
    [...rows, ...capacities].some(({ problems }) => problems.length > 0) || failures.length > 0;
  if (isDamaged) return 1;
  return [...missing.values()].some((why) => why !== null) ? 2 : 0;
}

function setting(): string[] {
  const relays = new Set(chosen.filter(({ traffic }) => traffic === 'relay').map(({ name }) => name));
  const bytes = (dialect: Dialect): string => {
    const all = allRuns.filter((run) => run.dialect === dialect && relays.has(run.subject));
    const { least, most } = spreadOf(all.map(({ report }) => report.frameBytes));
    return `${dialect} ${least === most ? least : `${least} to ${most}`}`;
  };
  return [
    `The live path of each subject runs on processor ${cores.live}. Callers, bot, the bench, and of reelay the recorder, control with the uploader, V8's helpers and the pool for files run on processor ${cores.rest}, callers and bot before everything else where the system lets them (SCHED_FIFO).`,
    `Every call sends a frame each 20 ms, and the bot one for each: 100 relayed messages a second and call. Bytes of a caller's message: ${dialects.map(bytes).join(', ')}.`,
    `${rounds} rounds of ${seconds} s at each number of calls, ${timing.settleMs / 1000} s after all are up; each subject is started anew, and its calls begin at most ${callsPerSecond} a second. Medians, least and most in parentheses, 95 % bootstrap intervals of the paired ratios in brackets.`,
    'CPU is what the scheduler counts for the threads (schedstat). Recorders answer nothing: their round trips are those of pings behind frames, their frames come one way, and nothing of theirs is compared with a relay frame by frame but its cost.',
  ];
}

function write(result: BenchResult, name: string): void {
  const text = markdown(result);
  const judged = acceptance(result).map(({ what, isMet }) => `- ${isMet ? 'met' : 'NOT MET'}: ${what}`);
  const whole = judged.length === 0 ? text : `${text}\n## Bounds\n\n${judged.join('\n')}\n`;
  mkdirSync(results, { recursive: true });
  writeFileSync(join(results, `${name}.json`), JSON.stringify(result, null, 1));
  writeFileSync(join(results, `${name}.md`), whole);
  for (const dialect of dialects)
    writeFileSync(join(results, `${name}-${dialect}.svg`), plot(result, dialect));
  console.log(`\n${whole}\nwritten to ${join(results, name)}.*`);
}
