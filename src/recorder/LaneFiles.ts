import { join } from 'node:path';
import { joinedGaps } from '../spool/gaps.js';
import { openChunkName } from '../spool/layout.js';
import type { ChunkLane, Gap, ManifestChunk, ManifestLane, SidecarLane } from '../spool/Manifest.js';
import { chunkGaps } from './chunkGaps.js';
import { GapList } from './GapList.js';
import { GrowingChunks } from './GrowingChunks.js';
import { laneGaps, lanesWithin, renderLane } from './timeline/renderRoom.js';
import { concealedWithin } from './timeline/RoomState.js';
import type { TimelineState } from './timeline/TimelineState.js';

/** A lane's file of a chunk that is complete and closed, and what its sidecar will say of it. */
export interface ClosedLane extends Omit<SidecarLane, 'bytes' | 'sha256'> {
  readonly path: string;
}

/** Gaps of what is settled, by lane. */
export type GapsByLane = ReadonlyMap<string, readonly Gap[]>;

/**
 * The files of a room's lanes, beside those of the mix: each lane has one of every chunk in which it was there at any time, as long as
 * the chunk.
 */
export class LaneFiles {
  readonly #folder: string;
  readonly #facts: { readonly sampleRate: number; readonly chunkSeconds: number };
  readonly #growing = new Map<string, GrowingChunks>();
  readonly #gaps = new Map<string, GapList>();

  /** @param gaps - of a recording that is continued */
  constructor(
    folder: string,
    facts: { readonly sampleRate: number; readonly chunkSeconds: number },
    gaps: GapsByLane = new Map(),
  ) {
    this.#folder = folder;
    this.#facts = facts;
    for (const [lane, known] of gaps) this.#gaps.set(lane, new GapList(known));
  }

  /**
   * Writes `[from, to)`, which lies in one chunk, for the lanes that are in it so far. What of a file lies before is silence.
   *
   * @param chunkStart - position of the chunk's first sample
   * @throws the file system's error; the same may be written again
   */
  write(state: TimelineState, chunkStart: number, from: number, to: number): void {
    for (const name of lanesWithin(state, chunkStart, to)) {
      const lane = state.room?.lanes.get(name);
      if (lane !== undefined) this.#growingOf(name).write(from, renderLane(lane, from, to), 1);
    }
  }

  /** Takes down the gaps of what has become final. */
  settle(state: TimelineState, from: number, to: number): void {
    for (const [name, lane] of state.room?.lanes ?? [])
      this.#gapsOf(name).add(laneGaps(state, lane, from, to));
  }

  /**
   * Gives the files of a chunk their final length. It may be done again, until the chunk is closed.
   *
   * @throws the file system's error
   */
  cut(state: TimelineState, index: number, from: number, to: number): void {
    for (const name of lanesWithin(state, from, to)) this.#growingOf(name).cut(index, to - from, 1);
  }

  /** Hands over the files of a chunk that were cut and is settled; those of lanes that turned out not to be in it go. */
  close(state: TimelineState, index: number, from: number, to: number): ClosedLane[] {
    const closed = lanesWithin(state, from, to).flatMap((name) => {
      const lane = state.room?.lanes.get(name);
      if (lane === undefined) return [];
      const { identity, source } = lane.participant;
      const concealedSamples = concealedWithin(lane, from, to);
      const path = join(this.#folder, openChunkName(index, name));
      this.#growingOf(name).release(index);
      const gaps = this.#within(state, name, from, to);
      return [{ lane: name, identity, source, samples: to - from, gaps, concealedSamples, path }];
    });
    for (const growing of this.#growing.values()) growing.remove(index);
    return closed;
  }

  /** Removes what still grows. */
  discard(): void {
    for (const growing of this.#growing.values()) growing.discard();
    this.#growing.clear();
  }

  /** What is settled up to a position, for {@link LaneFiles}' successor. */
  gapsUpTo(position: number): Map<string, readonly Gap[]> {
    return new Map([...this.#gaps].map(([lane, gaps]) => [lane, gaps.within(0, position)]));
  }

  /** The lanes as a manifest lists them, with the gaps in those chunks that each has a file of. */
  listed(state: TimelineState, chunks: readonly ManifestChunk[]): ManifestLane[] {
    return [...(state.room?.lanes.values() ?? [])]
      .map(({ name: lane, participant: { identity, name, kind, source } }) => ({
        lane,
        identity,
        name,
        kind,
        source,
        presence: presenceOf(state, lane),
        gaps: joinedGaps(
          chunks
            .filter(({ lanes = [] }) => lanes.some((each: ChunkLane) => each.lane === lane))
            .flatMap(({ startSample, samples }) =>
              this.#within(state, lane, startSample, startSample + samples),
            ),
        ),
      }))
      .sort((a, b) => (a.lane < b.lane ? -1 : 1));
  }

  #within(state: TimelineState, lane: string, from: number, to: number): Gap[] {
    return chunkGaps(this.#gapsOf(lane), state, 1, from, to);
  }

  #gapsOf(lane: string): GapList {
    let gaps = this.#gaps.get(lane);
    if (gaps === undefined) this.#gaps.set(lane, (gaps = new GapList()));
    return gaps;
  }

  #growingOf(lane: string): GrowingChunks {
    let growing = this.#growing.get(lane);
    if (growing === undefined) {
      growing = new GrowingChunks(this.#folder, this.#facts, lane);
      this.#growing.set(lane, growing);
    }
    return growing;
  }
}

function presenceOf({ streams, room }: TimelineState, lane: string): ManifestLane['presence'] {
  return [...streams].flatMap(([number, { facts, startSample, endSample, endReason }]) =>
    room?.laneOf.get(number) !== lane
      ? []
      : {
          streamId: facts.streamId,
          sid: facts.participant?.sid ?? '',
          joinedSample: startSample,
          leftSample: endSample,
          endReason,
        },
  );
}
