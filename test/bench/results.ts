import type { BenchResult } from '../../bench/peers/BenchResult.js';
import type { Run } from '../../bench/peers/measure.js';
import { type Capacity, type Row, rowOf } from '../../bench/peers/Row.js';

/** A run with nothing wrong about it. */
export function runOf(facts: Partial<Run> & Pick<Run, 'subject'>): Run {
  return {
    dialect: 'twilio',
    calls: 500,
    liveUs: 8.6,
    allUs: 8.6,
    share: { live: 0.43, all: 0.43 },
    others: 0.01,
    p50: 0.1,
    p99: 0.2,
    p999: 0.5,
    lateness: 0.1,
    isOverloaded: false,
    isRelayed: true,
    problems: [],
    notes: [],
    report: {
      ...{ up: 500, upMs: 500, sent: 10, received: 10, lost: 0, misplaced: 0, foreign: 0, skipped: 0 },
      ...{ outstanding: 0, refused: 0, cut: 0, windowSent: 5, windowReceived: 5, frameBytes: 376 },
    },
    ...facts,
  };
}

/** A row of a single run, against the base's. */
export function row(facts: Partial<Run> & Pick<Run, 'subject'>, base: Partial<Run> = {}): Row {
  const run = runOf(facts);
  const { calls, dialect } = run;
  return rowOf([run], [runOf({ calls, dialect, ...base, subject: 'nginx' })]);
}

export function capacity(facts: Partial<Capacity> & Pick<Capacity, 'subject' | 'holds'>): Capacity {
  const { holds } = facts;
  return {
    dialect: 'twilio',
    found: [{ holds, fails: holds + 10 }],
    relays: holds,
    perCoreOfAll: holds,
    problems: [],
    ...facts,
  };
}

export function result(facts: Partial<BenchResult>): BenchResult {
  const names = new Set((facts.rows ?? []).map(({ subject }) => subject));
  return {
    at: '2026-11-21T12:00:00.000Z',
    machine: '2 × processor',
    setting: ['The live path runs on processor 0.'],
    base: 'nginx',
    subjects: [...names].map((name) => ({ name, about: `what ${name} is`, traffic: 'relay', missing: null })),
    rows: [],
    capacities: [],
    runs: [],
    leftOut: [],
    failures: [],
    ...facts,
  };
}
