import type { Run } from './measure.js';
import type { Capacity, Row } from './Row.js';

/** All that one run of the bench has found out. */
export interface BenchResult {
  /** ISO 8601. */
  readonly at: string;
  readonly machine: string;
  /** What ran where, as a sentence each. */
  readonly setting: readonly string[];
  readonly base: string;
  readonly subjects: readonly SubjectFacts[];
  readonly rows: readonly Row[];
  readonly capacities: readonly Capacity[];
  readonly runs: readonly Run[];
  /** Rows that a subject was left out of, because it had more calls than it holds before. */
  readonly leftOut: readonly LeftOut[];
  /** What ended a run before it had a result. */
  readonly failures: readonly string[];
}

export interface LeftOut {
  readonly subject: string;
  readonly dialect: Run['dialect'];
  readonly calls: number;
  /** Calls at which it was overloaded. */
  readonly overloadedAt: number;
}

export interface SubjectFacts {
  readonly name: string;
  readonly about: string;
  readonly traffic: 'relay' | 'record';
  /** Null: it was there. */
  readonly missing: string | null;
}
