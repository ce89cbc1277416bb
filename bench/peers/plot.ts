import type { BenchResult } from './BenchResult.js';
import { isOverloaded, type Row } from './Row.js';

const panel = { width: 420, height: 280, left: 56, top: 40, gap: 40 };
const legendLine = 18;
/** Distinguishable also for those who don't see red and green apart (Okabe and Ito). */
const colours = [
  '#000000',
  '#e69f00',
  '#56b4e9',
  '#009e73',
  '#cc79a7',
  '#0072b2',
  '#d55e00',
  '#999999',
  '#7a5195',
];

interface Axis {
  readonly title: string;
  readonly of: (row: Row) => number;
  /** Grid lines, in order; the first and the last are the axis's ends. */
  readonly marks: readonly number[];
  readonly isLogarithmic: boolean;
}

/** CPU per frame and p99 over the number of calls, a line for each subject. Runs under too many calls aren't drawn. */
export function plot(result: BenchResult, dialect: Row['dialect']): string {
  const rows = result.rows.filter((row) => row.dialect === dialect && !isOverloaded(row));
  const names = result.subjects
    .map(({ name }) => name)
    .filter((name) => rows.some((row) => row.subject === name));
  const most = Math.max(10, ...rows.map(({ liveUs }) => liveUs.median));
  const axes: Axis[] = [
    {
      title: 'CPU of the live path, µs per frame',
      of: ({ liveUs }) => liveUs.median,
      marks: linearMarks(most),
      isLogarithmic: false,
    },
    {
      title: 'p99 of the round trip, ms',
      of: ({ p99 }) => p99.median,
      marks: [0.1, 1, 10, 20],
      isLogarithmic: true,
    },
  ];
  const width = axes.length * (panel.left + panel.width + panel.gap);
  const height = panel.top + panel.height + panel.gap + legendLine * (names.length + 1);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...axes.flatMap((axis, at) => drawPanel(axis, at, rows, names)),
    ...names.flatMap((name, at) => drawLegend(name, at)),
    '</svg>',
    '',
  ].join('\n');
}

function drawPanel(axis: Axis, at: number, rows: readonly Row[], names: readonly string[]): string[] {
  const left = panel.left + at * (panel.left + panel.width + panel.gap);
  const bottom = panel.top + panel.height;
  const mostCalls = Math.max(1, ...rows.map(({ calls }) => calls));
  const x = (calls: number): number => left + (calls / mostCalls) * panel.width;
  const y = (value: number): number => bottom - share(axis, value) * panel.height;
  const grid = axis.marks.flatMap((mark) => [
    `<line x1="${left}" y1="${place(y(mark))}" x2="${left + panel.width}" y2="${place(y(mark))}" stroke="#ddd"/>`,
    `<text x="${left - 6}" y="${place(y(mark) + 4)}" text-anchor="end">${mark}</text>`,
  ]);
  const ticks = [...new Set(rows.map(({ calls }) => calls))].map(
    (calls) => `<text x="${place(x(calls))}" y="${bottom + 16}" text-anchor="middle">${calls}</text>`,
  );
  const lines = names.map((name, index) => {
    const points = rows
      .filter(({ subject }) => subject === name)
      .sort((a, b) => a.calls - b.calls)
      .map((row) => `${place(x(row.calls))},${place(y(axis.of(row)))}`);
    return `<polyline points="${points.join(' ')}" fill="none" stroke="${colourOf(index)}" stroke-width="2"/>`;
  });
  return [
    `<text x="${left}" y="${panel.top - 14}" font-weight="bold">${axis.title}</text>`,
    ...grid,
    ...ticks,
    ...lines,
  ];
}

function drawLegend(name: string, at: number): string[] {
  const y = panel.top + panel.height + panel.gap + legendLine * at;
  return [
    `<line x1="${panel.left}" y1="${y}" x2="${panel.left + 24}" y2="${y}" stroke="${colourOf(at)}" stroke-width="2"/>`,
    `<text x="${panel.left + 32}" y="${y + 4}">${escape(name)}</text>`,
  ];
}

/** Where a value lies between the axis's ends, 0 to 1. */
function share({ marks, isLogarithmic }: Axis, value: number): number {
  const scale = isLogarithmic ? Math.log : (each: number): number => each;
  const [from, to] = [scale(marks[0] ?? 0), scale(marks.at(-1) ?? 1)];
  const at = (scale(value) - from) / (to - from);
  return Number.isFinite(at) ? Math.min(1, Math.max(0, at)) : 1;
}

/** Four steps of a round number, up to what has to be shown at least. */
function linearMarks(most: number): number[] {
  const step = [1, 2, 5, 10, 20, 25, 50, 100, 200, 500].find((each) => each * 4 >= most) ?? most / 4;
  return [0, 1, 2, 3, 4].map((times) => times * step);
}

function place(value: number): string {
  return value.toFixed(1);
}

function colourOf(index: number): string {
  return colours[index % colours.length] ?? '#000000';
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
