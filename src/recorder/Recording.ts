import { join } from 'node:path';
import { raisePeaks } from '../audio/peaks.js';
import { DurableFolders } from '../spool/DurableFolders.js';
import { writeDurably } from '../spool/durable.js';
import { manifestName, recordingFolder } from '../spool/layout.js';
import { makeWay } from '../spool/makeWay.js';
import type { Gap, Manifest, ManifestChunk, Sidecar } from '../spool/Manifest.js';
import { RecordKind, type CallFacts, type TapRecord } from '../tap/TapRecord.js';
import { chunkGaps } from './chunkGaps.js';
import { DiskWork } from './DiskWork.js';
import { GapList } from './GapList.js';
import { GrowingChunks } from './GrowingChunks.js';
import { encodeCheckpoint, type Checkpoint, type RecordingSnapshot } from './Checkpoint.js';
import { LaneFiles } from './LaneFiles.js';
import { removeLeftovers, setAsideLeftovers } from './leftovers.js';
import { lossOf, manifestOf } from './manifestOf.js';
import type { RecordingHome, RecordingIds } from './RecordingHome.js';
import { sealChunk, type ClosedChunk } from './sealChunk.js';
import type { CallTimeline } from './timeline/CallTimeline.js';
import { sidecarFactsOf } from './sidecarFactsOf.js';
import { channelsOf, gapsWithin, render } from './timeline/render.js';
import { timelineOf } from './timeline/timelineOf.js';
import type { TimelineState } from './timeline/TimelineState.js';

/** Its files are brought up to date twice a second. */
const looksPerTelling = 4;

/**
 * One call's recording: its timeline, the chunks that grow from it, and their sealing. Applying records and writing audio
 * happens at once; whatever waits for the disk runs behind, in order, and is tried again until it succeeds.
 */
export class Recording {
  readonly call: number;
  readonly folder: string;
  readonly timeline: CallTimeline;
  /** Records up to this sequence need not be kept for this recording. */
  neededAfter: number;
  /** Everything is sealed and announced. */
  done = false;
  readonly #home: RecordingHome;
  /** Whatever waits for the disk. */
  readonly #disk: DiskWork;
  readonly #growing: GrowingChunks;
  /** Null: the call is no room. */
  readonly #lanes: LaneFiles | null;
  readonly #firstSequence: number;
  #mayWrite = false;
  #sequence: number;
  /** Arrival of the call's first record and of the last one, ms; only of a recording that failed is that asked. */
  readonly #startedMs: number | null;
  #lastMs: number;
  /** Audio up to here has been written to the chunk files; up to `#settled` it is final and forgotten here. */
  #written: number;
  #settled: number;
  /** Next chunk to be sealed. */
  #next: number;
  #channels = 0;
  /** Of a room: how many events the manifest tells of, and how often it was looked at since. */
  #toldEvents = 0;
  #looks = 0;
  #isTelling = false;
  #chunks: ManifestChunk[];
  readonly #gaps: GapList;
  /** A failed recording whose checkpoint is on the disk: of its records only the call's end still matters. */
  #expectsOnlyEnd = false;
  #finished = false;
  /** Something before the next record can't be read. */
  #isAtHole = false;
  /** Audio is missing because of that. */
  #isDamaged = false;

  constructor(
    home: RecordingHome,
    start: { call: number; sequence: number; arrivalMs: number; facts: CallFacts } | Checkpoint,
  ) {
    const snapshot = 'recording' in start ? start.recording : null;
    this.#home = home;
    this.call = start.call;
    this.#sequence = start.sequence;
    this.#firstSequence = 'facts' in start ? start.sequence : 0;
    this.neededAfter = 'recording' in start ? start.sequence : start.sequence - 1;
    this.timeline = timelineOf('facts' in start ? start : { state: stateOf(start) });
    const { facts } = this.timeline.state;
    this.folder = recordingFolder({ ...facts, startMs: facts.wallClockMs });
    this.#disk = new DiskWork(home.run, (error) => home.failed(this.ids, error));
    this.#growing = new GrowingChunks(this.#path(), facts);
    this.#lanes =
      this.timeline.state.room === undefined ? null : new LaneFiles(this.#path(), facts, snapshot?.laneGaps);
    this.#startedMs = 'facts' in start ? start.arrivalMs : (snapshot?.failedMs ?? null);
    this.#lastMs = this.#startedMs ?? 0;
    this.#channels = snapshot?.channels ?? 0;
    this.#chunks = [...(snapshot?.chunks ?? [])];
    this.#gaps = new GapList(snapshot?.gaps);
    this.#written = this.#settled = snapshot?.position ?? 0;
    this.#next = this.#chunks.length;
    // Whatever the snapshot holds beyond the last sealed chunk has to be written again.
    this.timeline.takeDirty();
    this.#makeWay();
    this.#disk.add(async () => {
      // A folder whose call the journal doesn't know would stay as it is for ever.
      await this.#home.synced();
      this.#mayWrite = true;
      const manifest = await this.#writeManifest(
        facts.failed === undefined ? 'recording' : 'failed',
        facts.failed ?? null,
      );
      this.#home.started(this.folder, manifest);
      if (facts.failed === undefined) return;
      const failedMs = this.#startedMs;
      await this.#checkpoint(start.sequence, {
        ...this.#snapshot(0),
        chunks: [],
        ...(failedMs === null ? {} : { failedMs }),
      });
      this.#expectsOnlyEnd = true;
    });
  }

  get recordingId(): string {
    return this.timeline.state.facts.recordingId;
  }

  get ids(): RecordingIds {
    const { recordingId, callId, accountId, provider } = this.timeline.state.facts;
    return { recordingId, callId, accountId, provider };
  }

  /** Nobody has told of a stream, though audio may come. */
  get isDeaf(): boolean {
    const { facts, streams } = this.timeline.state;
    return facts.failed === undefined && streams.size === 0;
  }

  /** Records up to this one may be missing, some of this call among them. */
  missedUpTo(sequence: number): void {
    if (this.#sequence < sequence) this.#isAtHole = true;
  }

  /** Applies a record of this call; one that a checkpoint already holds is passed over. */
  apply(record: TapRecord): void {
    if (record.sequence <= this.#sequence) return;
    this.#passHole(record);
    this.#sequence = record.sequence;
    this.#lastMs = record.arrivalMs;
    if (this.timeline.state.facts.failed === undefined) this.timeline.apply(record);
    else if (this.#expectsOnlyEnd && record.kind !== RecordKind.callEnd) this.neededAfter = record.sequence;
  }

  /** Time has come this far, says a record that belongs to no call. */
  advance(record: TapRecord): void {
    if (record.sequence <= this.#sequence) return;
    this.#passHole(record);
    this.#sequence = record.sequence;
    this.#lastMs = record.arrivalMs;
    this.timeline.advance(record.arrivalMs);
    if (this.#expectsOnlyEnd && !this.#finished) this.neededAfter = record.sequence;
  }

  /**
   * Brings the chunk files up to date and seals what has become final.
   *
   * @returns the loudest sample per channel since the last time, 0 to 32768
   * @throws the file system's error; the same audio is written again at the next try
   */
  progress(): number[] {
    const { streams, room, facts } = this.timeline.state;
    const hasAudio = streams.size > 0 || (room !== undefined && facts.failed === undefined);
    if (!hasAudio || !this.#isBegun()) return [];
    this.#channels ||= channelsOf(this.timeline.state).length;
    const end = this.timeline.preview();
    const from = Math.max(this.#settled, Math.min(this.#written, this.timeline.takeDirty()));
    this.#written = from; // in case the disk refuses
    const peaks = this.#write(from, end);
    // Not further, although the file may be longer: what lies there has changed, or is seen too early.
    this.#written = Math.max(from, end);
    while (this.#boundary() <= this.timeline.final) this.#close(this.#boundary());
    this.#settle(this.timeline.final);
    this.#tellOfRoom();
    return peaks;
  }

  /** Who comes and goes in a room is in its manifest soon, not only when a chunk is sealed. */
  #tellOfRoom(): void {
    const { room, events } = this.timeline.state;
    if (room === undefined || this.#finished || this.#isTelling || ++this.#looks < looksPerTelling) return;
    this.#looks = 0;
    if (events.length === this.#toldEvents) return;
    this.#toldEvents = events.length;
    this.#isTelling = true;
    this.#disk.add(async () => {
      await this.#writeManifest('recording', null);
      this.#isTelling = false;
    });
  }

  /** Samples per channel that a listener may be given. */
  get samples(): number {
    return this.#written;
  }

  /**
   * Ends the recording and seals what is left.
   *
   * @param reason - why it has to be called interrupted, null when it was whole
   * @param inTurn - with many others: the last audio is written behind, with the disk's other work, and not at once
   */
  finish(reason: string | null, inTurn = false): void {
    if (this.#finished) return;
    this.#finished = true;
    const { state } = this.timeline;
    if (state.facts.failed === undefined) {
      const length = this.timeline.finish();
      // At once, so that neither open files nor audio wait behind the seals of others when the disk is slow.
      if (inTurn || !this.#isBegun() || !this.#tried(length)) this.#disk.add(() => this.#conclude(length));
    } else {
      const ms = Math.max(0, this.#lastMs - (this.#startedMs ?? this.#lastMs));
      state.length ??= Math.round((ms * state.facts.sampleRate) / 1000);
    }
    this.#disk.add(() => {
      // Behind the sealing of the last chunks, which the job before has put into the queue.
      this.#disk.add(() => this.#sealManifest(reason ?? lossOf(state, this.#isDamaged)));
    });
  }

  #tried(length: number): boolean {
    try {
      this.#conclude(length);
      return true;
    } catch {
      return false;
    }
  }

  /** Writes the last audio and lets it be sealed. @throws the file system's error; it may be tried again */
  #conclude(length: number): void {
    this.progress();
    if (length > this.#growing.startOf(this.#next)) this.#close(length);
    // The live view may have been ahead of where a lost stream turned out to end.
    this.#growing.discard();
    this.#lanes?.discard();
  }

  /** Settles when everything that was to be done on the disk so far is done. */
  settled(): Promise<void> {
    return this.#disk.settled();
  }

  /** Writes `[from, to)` to the files of the chunks it lies in. */
  #write(from: number, to: number): number[] {
    const peaks = new Array<number>(this.#channels).fill(0);
    let position = from;
    while (position < to) {
      const end = Math.min(to, this.#growing.endAt(position), position + this.#longestPiece());
      const pcm = render(this.timeline.state, this.#channels, position, end);
      // First, so that whoever sees how far the mix goes finds each lane as long.
      this.#lanes?.write(this.timeline.state, this.#growing.startAt(position), position, end);
      this.#growing.write(position, pcm, this.#channels);
      raisePeaks(peaks, pcm);
      position = end;
    }
    return peaks;
  }

  /** The chunk that ends at `end` is complete: it is sealed behind, and rendering can go on from there after a restart. */
  #close(end: number): void {
    const index = this.#next;
    const start = this.#growing.startOf(index);
    const { state } = this.timeline;
    const path = this.#growing.cut(index, end - start, this.#channels);
    this.#lanes?.cut(state, index, start, end);
    // Nothing of what follows can be refused by a disk, and be asked for again.
    this.#growing.release(index);
    this.#next++;
    this.#settle(end);
    const closed = { path, lanes: this.#lanes?.close(state, index, start, end) ?? null };
    // The record that ended the call has to be met again by whoever goes on from here, to end it again.
    const sequence = this.#finished ? this.#sequence - 1 : this.#sequence;
    this.#seal(index, start, closed, this.#snapshot(end), sequence);
  }

  #snapshot(position: number): Omit<RecordingSnapshot, 'chunks'> {
    const timeline = structuredClone(this.timeline.state);
    const gaps = this.#gaps.within(0, position);
    const ofRoom = this.#lanes === null ? {} : { laneGaps: this.#lanes.gapsUpTo(position) };
    return { timeline, position, channels: this.#channels, gaps, ...ofRoom };
  }

  #seal(
    index: number,
    start: number,
    closed: ClosedChunk,
    snapshot: Omit<RecordingSnapshot, 'chunks'>,
    sequence: number,
  ): void {
    const gaps = this.#gapsOf(start, snapshot.position);
    let sidecar: Sidecar | null = null;
    this.#disk.add(async () => {
      await this.#home.synced();
      if (sidecar === null) {
        const place = { index, start, samples: snapshot.position - start };
        const previous = this.#chunks.at(-1)?.sha256 ?? null;
        const facts = sidecarFactsOf(this.timeline.state, place, gaps, previous);
        const sealed = await sealChunk(this.#path(), closed, facts, this.#home.quarantine);
        this.#chunks = [...this.#chunks, sealed.chunk];
        ({ sidecar } = sealed);
      }
      await this.#writeManifest('recording', null);
      await this.#checkpoint(sequence, { ...snapshot, chunks: this.#chunks });
      this.#home.sealed(this.folder, sidecar);
    });
  }

  /** Takes down the gaps of what has become final and forgets its audio. */
  #settle(final: number): void {
    if (final <= this.#settled) return;
    this.#gaps.add(gapsWithin(this.timeline.state, this.#channels, this.#settled, final));
    this.#lanes?.settle(this.timeline.state, this.#settled, final);
    this.timeline.trim(final);
    this.#settled = final;
  }

  #gapsOf(from: number, to: number): Gap[] {
    return chunkGaps(this.#gaps, this.timeline.state, this.#channels, from, to);
  }

  /** Its beginning is safe, so that its files may be made. */
  #isBegun(): boolean {
    this.#mayWrite ||= this.#home.isSynced?.(this.#firstSequence) ?? true;
    return this.#mayWrite;
  }

  async #sealManifest(reason: string | null): Promise<void> {
    await this.#home.synced();
    await DurableFolders.below(this.#home.spoolDir).make(this.#path());
    await removeLeftovers(this.#path());
    const { failed } = this.timeline.state.facts;
    const state = failed !== undefined ? 'failed' : reason === null ? 'uploading' : 'interrupted';
    const manifest = await this.#writeManifest(state, failed ?? reason);
    await this.#checkpoint(this.#sequence, null);
    this.done = true;
    this.#home.ended(this.folder, manifest);
  }

  async #writeManifest(state: Manifest['state'], reason: string | null): Promise<Manifest> {
    const samples = this.#chunks.reduce((sum, chunk) => sum + chunk.samples, 0);
    const gaps = this.#gapsOf(0, samples);
    const lanes = this.#lanes?.listed(this.timeline.state, this.#chunks) ?? null;
    const sealed = { state, reason, chunks: this.#chunks, gaps, lanes };
    const manifest = manifestOf(this.timeline.state, sealed);
    // After a crash control may have taken the folder away between two of these writes.
    await DurableFolders.below(this.#home.spoolDir).make(this.#path());
    await writeDurably(join(this.#path(), manifestName), JSON.stringify(manifest, null, 2) + '\n');
    return manifest;
  }

  async #checkpoint(sequence: number, recording: Checkpoint['recording']): Promise<void> {
    const { recordingId } = this;
    const checkpoint: Checkpoint = { version: 1, recordingId, call: this.call, sequence, recording };
    await writeDurably(this.#home.checkpointPath(recordingId), encodeCheckpoint(checkpoint));
    this.neededAfter = sequence;
  }

  #passHole({ arrivalMs }: TapRecord): void {
    if (!this.#isAtHole) return;
    this.#isAtHole = false;
    // A checkpoint doesn't say when its last record came; what is missing begins with what it has not.
    this.timeline.damaged(this.#lastMs, arrivalMs);
    this.#isDamaged = true;
  }

  /** What can't be set aside now is met again by whoever writes there, and told of. */
  #makeWay(): void {
    const { quarantine, spoolDir, isDamaged = false } = this.#home;
    if (quarantine === undefined) return;
    try {
      makeWay(quarantine, spoolDir, this.folder);
      if (isDamaged) setAsideLeftovers(this.#path(), quarantine);
    } catch (error) {
      this.#home.failed(this.ids, error);
    }
  }

  #path(): string {
    return join(this.#home.spoolDir, this.folder);
  }

  /** Samples that are rendered at once, ten seconds: after a time without room there may be an hour to write. */
  #longestPiece(): number {
    return 10 * this.timeline.state.facts.sampleRate;
  }

  #boundary(): number {
    return this.#growing.startOf(this.#next + 1);
  }
}

function stateOf(checkpoint: Checkpoint): TimelineState {
  if (checkpoint.recording === null) throw new TypeError('A tombstone cannot be continued.');
  return checkpoint.recording.timeline;
}
