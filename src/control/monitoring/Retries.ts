import { basename } from 'node:path';
import type { TraceEvent } from './RecordingTrace.js';

/** Recordings whose failed attempts are remembered, and attempts of each; older ones are forgotten. */
const mostRecordings = 1000;
const mostOfEach = 64;

interface Failed {
  /** Null: not of one object. */
  readonly name: string | null;
  readonly event: TraceEvent;
}

/** Attempts to store that failed, until what they were about is stored. */
export class Retries {
  readonly #byRecording = new Map<string, Failed[]>();

  add(folder: string, name: string | null, event: TraceEvent): void {
    const recordingId = basename(folder);
    const failed = this.#byRecording.get(recordingId) ?? [];
    // The one that failed last is forgotten last.
    this.#byRecording.delete(recordingId);
    this.#byRecording.set(recordingId, [...failed, { name, event }].slice(-mostOfEach));
    const [oldest] = this.#byRecording.keys();
    if (this.#byRecording.size > mostRecordings && oldest !== undefined) this.#byRecording.delete(oldest);
  }

  /** Those of one object, which are forgotten. */
  take(folder: string, name: string): TraceEvent[] {
    const recordingId = basename(folder);
    const failed = this.#byRecording.get(recordingId);
    if (failed === undefined) return [];
    const others = failed.filter((each) => each.name !== name);
    if (others.length === 0) this.#byRecording.delete(recordingId);
    else this.#byRecording.set(recordingId, others);
    return failed.filter((each) => each.name === name).map(({ event }) => event);
  }

  /** All that are left of a recording, which are forgotten. */
  takeAll(recordingId: string): TraceEvent[] {
    const failed = this.#byRecording.get(recordingId) ?? [];
    this.#byRecording.delete(recordingId);
    return failed.map(({ event }) => event);
  }
}
