import { deserialize, serialize } from 'node:v8';
import { joinedGaps } from '../../src/spool/gaps.js';
import type { Gap } from '../../src/spool/Manifest.js';
import type { CallTimeline } from '../../src/recorder/timeline/CallTimeline.js';
import { gapsWithin, render } from '../../src/recorder/timeline/render.js';
import { laneGaps, renderLane } from '../../src/recorder/timeline/renderRoom.js';
import { timelineOf } from '../../src/recorder/timeline/timelineOf.js';
import type { TimelineState } from '../../src/recorder/timeline/TimelineState.js';
import { RecordKind, type CallFacts, type StreamFacts, type TapRecord } from '../../src/tap/TapRecord.js';
import { CallScript } from './CallScript.js';
import { concat } from './rendering.js';

/** Writes the tap records of a room, as its worker's pipe and a media thread would have. */
export class RoomScript {
  readonly #script: CallScript;
  #streams = 0;

  constructor(facts: Partial<CallFacts> = {}) {
    this.#script = new CallScript({
      provider: 'livekit',
      callId: 'RM_1',
      channels: 'mixed',
      room: { name: 'stand-up', sid: 'RM_1' },
      ...facts,
    });
  }

  get facts(): CallFacts {
    return this.#script.facts;
  }

  get records(): readonly TapRecord[] {
    return this.#script.records;
  }

  /** Sets the clock that arrivals are stamped by, ms since the call's start. */
  at(ms: number): this {
    this.#script.at(ms);
    return this;
  }

  event(type: string, detail: object = {}): this {
    this.#script.add(RecordKind.event, { type, ...detail });
    return this;
  }

  /** @returns the number of the stream */
  enter(lane: string, facts: Partial<StreamFacts> = {}): number {
    this.#script.on(this.#streams).stream({
      streamId: `TR_${this.#streams + 1}`,
      role: 'lane',
      lane,
      participant: {
        identity: lane,
        name: lane.toUpperCase(),
        kind: 'STANDARD',
        sid: `PA_${this.#streams + 1}`,
        source: 'microphone',
      },
      placement: 'arrival-count',
      playout: 'none',
      marksTellPlayout: false,
      ...facts,
    });
    return ++this.#streams;
  }

  /** A frame that has just come. */
  say(stream: number, pcm: Int16Array): this {
    this.#script.on(stream).caller(pcm);
    return this;
  }

  /** One of which only the length is told. */
  sayMuted(stream: number, samples: number): this {
    this.#script.on(stream).muted(samples);
    return this;
  }

  leave(stream: number, reason: 'stop' | 'lost' = 'stop'): this {
    this.#script.on(stream).stop(reason);
    return this;
  }

  add(kind: RecordKind, facts: object): this {
    this.#script.add(kind, facts);
    return this;
  }

  clock(): this {
    this.#script.clock();
    return this;
  }

  end(ended = true): this {
    this.#script.end(ended);
    return this;
  }
}

export interface RenderedRoom {
  readonly mix: Int16Array;
  readonly gaps: readonly Gap[];
  /** By lane, as long as the room. */
  readonly lanes: ReadonlyMap<string, { readonly pcm: Int16Array; readonly gaps: readonly Gap[] }>;
  readonly length: number;
  readonly timeline: CallTimeline;
}

/**
 * Renders a room.
 *
 * @param pullEvery - takes what is final after so many records, and forgets it; 0: everything at the end
 * @param restoreEvery - goes on from a checkpoint after so many records, as after a crash; 0: never
 */
export function renderRoom(script: RoomScript, pullEvery = 0, restoreEvery = 0): RenderedRoom {
  const [{ arrivalMs } = { arrivalMs: 0 }, ...records] = script.records;
  let timeline = timelineOf({ facts: script.facts, arrivalMs });
  const parts: Int16Array[] = [];
  const gaps: Gap[] = [];
  const lanes = new Map<string, { parts: Int16Array[]; gaps: Gap[] }>();
  let taken = 0;
  const take = (): void => {
    const { state, final } = timeline;
    parts.push(render(state, 1, taken, final));
    gaps.push(...gapsWithin(state, 1, taken, final));
    for (const [name, lane] of state.room?.lanes ?? []) {
      const known = lanes.get(name) ?? { parts: [new Int16Array(taken)], gaps: [] };
      lanes.set(name, known);
      known.parts.push(renderLane(lane, taken, final));
      known.gaps.push(...laneGaps(state, lane, taken, final));
    }
    timeline.trim(final);
    taken = final;
  };
  records.forEach((record, index) => {
    if (record.kind === RecordKind.clock) timeline.advance(record.arrivalMs);
    else timeline.apply(record);
    if (pullEvery > 0 && index % pullEvery === 0) take();
    // Not behind the call's end: a checkpoint never holds that, so that whoever goes on meets it again.
    const isEnd = record.kind === RecordKind.callEnd;
    if (restoreEvery > 0 && index % restoreEvery === 0 && !isEnd)
      timeline = timelineOf({ state: deserialize(serialize(timeline.state)) as TimelineState });
  });
  const length = timeline.finish();
  take();
  const whole = [...lanes].map(
    ([name, lane]) => [name, { pcm: concat(lane.parts), gaps: joinedGaps(lane.gaps) }] as const,
  );
  return { mix: concat(parts), gaps: joinedGaps(gaps), lanes: new Map(whole), length, timeline };
}
