import type { Logger } from 'pino';
import { ReelayError } from '../config/ReelayError.js';
import {
  RecordKind,
  type CallEndFacts,
  type CallFacts,
  type DroppedFacts,
  type TapRecord,
} from '../tap/TapRecord.js';
import { readFacts, readRecords } from '../tap/RecordReader.js';
import { rmSync } from 'node:fs';
import type { Checkpoint } from './Checkpoint.js';
import { Recording } from './Recording.js';
import type { RecordingHome } from './RecordingHome.js';

/** The recordings that one journal feeds: hands each record to the recording it belongs to. */
export class RecordingSet {
  readonly #home: RecordingHome;
  readonly #log: Logger;
  readonly #byCall = new Map<number, Recording>();
  /** Ended calls whose disk work is still under way. */
  readonly #ending = new Set<Recording>();
  /** Calls that were finished before a restart. */
  readonly #finished: Map<number, { readonly recordingId: string; readonly sequence: number }>;
  readonly #strays = new Set<number>();
  /** What a call that nothing is known of began with went with the power, as anything may that wasn't synced. */
  #isAfterTear = false;

  /** @param checkpoints - what the journal's former readers left */
  constructor(home: RecordingHome, checkpoints: readonly Checkpoint[], log: Logger) {
    this.#home = home;
    this.#log = log;
    this.#finished = new Map(
      checkpoints.filter((each) => each.recording === null).map((each) => [each.call, each]),
    );
    for (const checkpoint of checkpoints) {
      if (checkpoint.recording !== null) this.#byCall.set(checkpoint.call, new Recording(home, checkpoint));
    }
  }

  /** Calls of which there are records but neither a beginning nor a checkpoint: nobody can tell whose they are. */
  get strays(): number {
    return this.#strays.size;
  }

  get liveCount(): number {
    return this.#byCall.size;
  }

  /** Live recordings. */
  get live(): readonly Recording[] {
    return [...this.#byCall.values()];
  }

  /** Sequence up to which no record is needed any more, given that everything up to `last` was applied. */
  neededAfter(last: number): number {
    for (const recording of this.#ending) {
      if (!recording.done) continue;
      this.#ending.delete(recording);
      const { recordingId, neededAfter } = recording;
      this.#finished.set(recording.call, { recordingId, sequence: neededAfter });
    }
    return [...this.#byCall.values(), ...this.#ending].reduce(
      (least, each) => Math.min(least, each.neededAfter),
      last,
    );
  }

  /** Removes the tombstones of recordings whose records the journal, beginning at `firstSequence`, no longer holds. */
  forget(firstSequence: number): void {
    for (const [call, { recordingId, sequence }] of this.#finished) {
      if (sequence >= firstSequence) continue;
      rmSync(this.#home.checkpointPath(recordingId), { force: true });
      this.#finished.delete(call);
    }
  }

  /** Applies records in order, as {@link applyOne}. */
  apply(records: Uint8Array): void {
    readRecords(records, (record) => this.applyOne(record));
  }

  /**
   * Applies the next record of its call. One that can't be applied is logged and passed over: a fault in one call must not end the
   * recording of the others, nor meet its successor again and again. Never throws.
   */
  applyOne(record: TapRecord): void {
    try {
      this.#applyOne(record);
    } catch (error) {
      const { call, kind, sequence } = record;
      const about = { ...this.#byCall.get(call)?.ids, call, kind, sequence };
      this.#log.error({ err: error, ...about }, 'a record could not be applied');
    }
  }

  /**
   * Records up to this sequence, of whichever calls, can't be read.
   *
   * @param isTorn - because of a loss of power: nobody had been told that they are safe
   */
  missedUpTo(sequence: number, isTorn = false): void {
    this.#isAfterTear ||= isTorn;
    for (const recording of this.#byCall.values()) recording.missedUpTo(sequence);
  }

  /** Whether a recording has its recorder here, or had it so lately that its files may still be on their way. */
  has(recordingId: string): boolean {
    const all = [...this.#byCall.values(), ...this.#ending, ...this.#finished.values()];
    return all.some((each) => each.recordingId === recordingId);
  }

  /** Brings the files of every live recording up to date; one whose disk refuses is told of and tried again the next time. */
  progress(): void {
    for (const recording of this.#byCall.values()) {
      try {
        recording.progress();
      } catch (error) {
        this.#home.failed(recording.ids, error);
      }
    }
  }

  /** Ends every recording that is still live. */
  finish(reason: string): void {
    for (const recording of this.live) this.#end(recording, reason, true);
  }

  /** Settles when all that ended is sealed. */
  async settled(): Promise<void> {
    await Promise.all([...this.#byCall.values(), ...this.#ending].map((recording) => recording.settled()));
  }

  #applyOne(record: TapRecord): void {
    if (record.kind === RecordKind.clock) {
      for (const recording of this.#byCall.values()) recording.advance(record);
      return;
    }
    if (record.kind === RecordKind.callStart) this.#start(record);
    const recording = this.#byCall.get(record.call);
    if (recording === undefined) return this.#stray(record);
    recording.apply(record);
    // Its stream began where the journal is damaged: nobody can place what it says.
    if (record.kind === RecordKind.audio && recording.isDeaf) this.#stray(record);
    if (record.kind === RecordKind.dropped) this.#reportDropped(recording, record);
    if (record.kind === RecordKind.callEnd) {
      const { ended, reason } = readFacts(record) as CallEndFacts;
      this.#end(recording, ended ? null : (reason ?? 'end_missed'));
    }
  }

  /** A record without a live recording: of a call that is over, or of one that nothing is known of. */
  #stray({ call, sequence }: TapRecord): void {
    const isOver = this.#finished.has(call) || [...this.#ending].some((each) => each.call === call);
    if (isOver || this.#isAfterTear || this.#strays.has(call)) return;
    this.#strays.add(call);
    const { code, message } = new ReelayError('journal_unreadable', {
      value: `call ${call} from record ${sequence} on`,
    });
    this.#log.error({ code, call, sequence }, message);
  }

  #reportDropped(recording: Recording, record: TapRecord): void {
    const { records } = readFacts(record) as DroppedFacts;
    const { code, message } = new ReelayError('tap_overflow', {
      value: `${records} records`,
      remedy: 'Look for what held the recorder up, or raise limits.ringBytes.',
    });
    this.#log.warn({ code, ...recording.ids, records }, message);
  }

  #start(record: TapRecord): void {
    if (this.#finished.has(record.call) || this.#byCall.has(record.call)) return;
    const facts = readFacts(record) as CallFacts;
    const { call, sequence, arrivalMs } = record;
    this.#byCall.set(call, new Recording(this.#home, { call, sequence, arrivalMs, facts }));
  }

  #end(recording: Recording, reason: string | null, inTurn = false): void {
    this.#byCall.delete(recording.call);
    this.#ending.add(recording);
    recording.finish(reason, inTurn);
  }
}
