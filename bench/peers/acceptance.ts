import type { BenchResult } from './BenchResult.js';
import type { Row } from './Row.js';

/** A bound that reelay means to keep, and what was found. */
export interface Bound {
  readonly what: string;
  readonly isMet: boolean;
}

const recording = 'reelay';
/** The same with `media.realtime`, which has to be asked for: it is judged beside. */
const realtime = 'reelay-realtime';

/** Holds the result against the bounds for Twilio, recording. What wasn't measured isn't judged. */
export function acceptance(result: BenchResult): Bound[] {
  const row = (subject: string, calls: number): Row | undefined =>
    result.rows.find((each) => each.dialect === 'twilio' && each.subject === subject && each.calls === calls);
  const hasTwoPaths = result.subjects.some(({ name }) => name === 'reelay-ws');
  // Where there is one path, it is the reference path.
  const bounds = [
    ...(hasTwoPaths ? cpu(row(recording, 500), 1, 1.1) : cpu(row(recording, 500), 2, Infinity)),
    ...cpu(row('reelay-ws', 500), 2, Infinity),
    ...cpu(row(realtime, 500), 1, 1.1),
    ...[recording, realtime].flatMap((subject) => [
      ...late(row(subject, 200), 1.2),
      ...late(row(subject, 500), 1),
      ...late(row(subject, 1000), 3),
    ]),
  ];
  return [...bounds, ...held(result)];
}

function cpu(row: Row | undefined, most: number, highest: number): Bound[] {
  const estimate = row?.cpuRatio;
  if (row === undefined || estimate === null || estimate === undefined) return [];
  const { value, low, high } = estimate;
  const interval = Number.isNaN(low) ? '' : ` [${low.toFixed(2)}, ${high.toFixed(2)}]`;
  const isMet = value <= most && (Number.isNaN(high) || high < highest);
  const what = `${row.subject}, ${row.calls} calls: CPU per frame × ${value.toFixed(2)}${interval}, at most ${most}`;
  return [{ what, isMet }];
}

function late(row: Row | undefined, most: number): Bound[] {
  const value = row?.p99Ratio?.value;
  if (row === undefined || value === undefined) return [];
  const what = `${row.subject}, ${row.calls} calls: p99 × ${value.toFixed(2)}, at most ${most}`;
  return [{ what, isMet: value <= most }];
}

function held({ capacities, base }: BenchResult): Bound[] {
  const of = (subject: string) =>
    capacities.find((each) => each.subject === subject && each.dialect === 'twilio');
  const own = of(recording);
  // All of reelay on one processor, like all of a stand-in; its share of two says what that would hold if nothing waited for anything.
  const onOneCore = of('reelay-one-core');
  const [perCore, measured] =
    onOneCore === undefined
      ? [own?.perCoreOfAll, 'CPU']
      : ([onOneCore.holds, `held by ${onOneCore.subject}`] as const);
  const perCoreOf = (subject: string): number | undefined =>
    onOneCore === undefined ? of(subject)?.perCoreOfAll : of(subject)?.holds;
  const bound = (
    what: string,
    value: number | undefined,
    against: number | undefined,
    least: number,
  ): Bound[] => {
    if (value === undefined || against === undefined || Number.isNaN(value / against)) return [];
    const times = value / against;
    return [{ what: `${what} × ${times.toFixed(2)}, at least ${least}`, isMet: times >= least }];
  };
  return [
    ...[recording, realtime].flatMap((subject) => [
      ...bound(
        `${subject}: calls relayed in time, against ${base}`,
        of(subject)?.relays,
        of(base)?.relays,
        1,
      ),
      ...bound(`${subject}: and all recorded, against ${base}`, of(subject)?.holds, of(base)?.holds, 1),
    ]),
    ...bound(
      `calls per core of everything (${measured}), against record-wav`,
      perCore,
      perCoreOf('record-wav'),
      1.5,
    ),
    ...bound(
      `calls per core of everything (${measured}), against record-mp3`,
      perCore,
      perCoreOf('record-mp3'),
      20,
    ),
  ];
}
