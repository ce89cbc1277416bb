import type { Estimate } from '../PairedFigures.js';
import type { BenchResult, LeftOut, SubjectFacts } from './BenchResult.js';
import { type Capacity, isOverloaded, type Row, type Spread } from './Row.js';

/** Share of the live path's processor that others may take before it is told; some is the system's own. */
const mostOthers = 0.1;
/** A load that is later than that sends frames in heaps. */
const mostLatenessMs = 5;

/** The result as people read it: a table for each dialect and number of calls, one of what each subject holds, and what went wrong. */
export function markdown(result: BenchResult): string {
  const { at, machine, setting, subjects, base } = result;
  const lines = [
    `# reelay beside other relays, ${at}`,
    '',
    machine,
    '',
    ...setting.map((each) => `- ${each}`),
    ...subjects.map(({ name, about }) => `- **${name}**: ${about}`),
    '',
    ...sections(result),
    ...capacityTable(result.capacities, subjects, base),
    ...problemLines(result),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}

/** A table as prettier would leave it. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)];
}

function sections({ rows, subjects, base, leftOut }: BenchResult): string[] {
  const placeOf = ({ dialect, calls }: Pick<Row, 'dialect' | 'calls'>): string =>
    `${dialect}, ${calls} calls`;
  const places = new Set(rows.map(placeOf));
  const head = [
    'subject',
    'CPU of the live path, µs/frame',
    `× ${base}`,
    'everything, µs/frame',
    'p50 ms',
    'p99 ms',
    `× ${base}`,
    'p99.9 ms',
  ];
  return [...places].flatMap((place) => {
    const here = rows.filter((row) => placeOf(row) === place);
    const out = leftOut.filter((each) => placeOf(each) === place);
    const cells = subjects.flatMap((subject) => rowCells(subject, here, out));
    return [`## ${place}`, '', ...table(head, cells), ''];
  });
}

function rowCells(subject: SubjectFacts, here: readonly Row[], leftOut: readonly LeftOut[]): string[][] {
  if (subject.missing !== null) return [[subject.name, `MISSING: ${subject.missing}`]];
  const out = leftOut.find(({ subject: name }) => name === subject.name);
  if (out !== undefined) return [[subject.name, `not run: overloaded at ${out.overloadedAt} calls`]];
  const row = here.find(({ subject: name }) => name === subject.name);
  if (row === undefined) return [];
  const { liveUs, allUs, p50, p99, p999, cpuRatio, p99Ratio } = row;
  const late = isOverloaded(row) ? ' (overloaded)' : '';
  return [
    [
      subject.name + late,
      told(liveUs, 1),
      times(cpuRatio),
      told(allUs, 1),
      told(p50, 2),
      told(p99, 2),
      subject.traffic === 'record' ? '' : times(p99Ratio),
      told(p999, 2),
    ],
  ];
}

function capacityTable(
  capacities: readonly Capacity[],
  subjects: readonly SubjectFacts[],
  base: string,
): string[] {
  if (capacities.length === 0) return [];
  const head = [
    'subject',
    'dialect',
    'calls with p99 < 20 ms, and all recorded',
    `× ${base}`,
    'with p99 < 20 ms',
    `× ${base}`,
    'calls per core of everything',
  ];
  const rows = capacities.map(({ subject, dialect, holds, relays, found, perCoreOfAll }) => {
    const of = capacities.find((each) => each.subject === base && each.dialect === dialect)?.holds ?? NaN;
    const ranges = found.map((each) => `${each.holds}–${each.fails ?? '…'}`).join(', ');
    return [
      subject,
      dialect,
      `${holds} (${ranges})`,
      Number.isNaN(of) ? '' : (holds / of).toFixed(2),
      String(relays),
      Number.isNaN(of) ? '' : (relays / of).toFixed(2),
      Number.isNaN(perCoreOfAll) ? '' : perCoreOfAll.toFixed(0),
    ];
  });
  const missing = subjects.flatMap(({ name, missing }) =>
    missing === null ? [] : [[name, '', `MISSING: ${missing}`]],
  );
  return ['## Calls that are held', '', ...table(head, [...rows, ...missing]), ''];
}

function problemLines({ rows, capacities, failures }: BenchResult): string[] {
  const at = ({ subject, dialect }: { subject: string; dialect: string }): string => `${subject}, ${dialect}`;
  const problems = [
    ...failures.map((each) => `- FAILED: ${each}`),
    ...rows.flatMap((row) =>
      row.problems.map((each) => `- PROBLEM: ${at(row)}, ${row.calls} calls: ${each}`),
    ),
    ...capacities.flatMap((each) => each.problems.map((text) => `- PROBLEM: ${at(each)}: ${text}`)),
  ];
  const notes = rows.flatMap((row) =>
    [...row.notes, ...disturbances(row)].map((each) => `- ${at(row)}, ${row.calls} calls: ${each}`),
  );
  const verdict = problems.length === 0 ? ['Every frame came back as it was sent, in order.'] : problems;
  return notes.length === 0 ? verdict : [...verdict, '', ...notes];
}

/** How far the figures of a row can be relied on. */
function disturbances({ others, lateness }: Row): string[] {
  const percent = (others.most * 100).toFixed(0);
  const late = lateness.most.toFixed(1);
  return [
    ...(others.most > mostOthers ? [`others took up to ${percent} % of the live path's processor`] : []),
    ...(lateness.most > mostLatenessMs ? [`the load itself was up to ${late} ms late at p99`] : []),
  ];
}

function told({ median, least, most }: Spread, digits: number): string {
  const figure = (value: number): string => value.toFixed(value >= 100 ? 0 : digits);
  return least === most ? figure(median) : `${figure(median)} (${figure(least)}–${figure(most)})`;
}

function times(estimate: Estimate | null): string {
  if (estimate === null) return '';
  const { value, low, high } = estimate;
  return Number.isNaN(low) ? value.toFixed(2) : `${value.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}]`;
}
