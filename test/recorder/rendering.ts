import { deserialize, serialize } from 'node:v8';
import type { TimelineState } from '../../src/recorder/timeline/TimelineState.js';
import type { Gap } from '../../src/spool/Manifest.js';
import { channelsOf, gapsWithin, render } from '../../src/recorder/timeline/render.js';
import { Timeline } from '../../src/recorder/timeline/Timeline.js';
import { RecordKind, type TapRecord } from '../../src/tap/TapRecord.js';
import type { CallScript } from './CallScript.js';

export interface Rendered {
  /** Samples by channel. */
  readonly channels: Int16Array[];
  readonly gaps: Gap[];
  readonly length: number;
  readonly timeline: Timeline;
}

/**
 * Renders a script.
 *
 * @param pullEvery - takes what is final after so many records, and forgets it; 0: everything at the end
 * @param restoreEvery - goes on from a checkpoint after so many records, as after a crash; 0: never
 */
export function renderScript(script: CallScript, pullEvery = 0, restoreEvery = 0): Rendered {
  let timeline = new Timeline({ facts: script.facts });
  const parts: Int16Array[] = [];
  const gaps: Gap[] = [];
  let taken = 0;
  const take = (): void => {
    const count = channelsOf(timeline.state).length;
    parts.push(render(timeline.state, count, taken, timeline.final).slice());
    gaps.push(...gapsWithin(timeline.state, count, taken, timeline.final));
    timeline.trim(timeline.final);
    taken = timeline.final;
  };
  script.records.forEach((record, index) => {
    applyOne(timeline, record);
    if (pullEvery > 0 && index % pullEvery === 0) take();
    if (restoreEvery > 0 && index % restoreEvery === 0) {
      const checkpoint: unknown = deserialize(serialize(timeline.state));
      timeline = new Timeline({ state: checkpoint as TimelineState });
    }
  });
  const length = timeline.finish();
  take();
  const count = channelsOf(timeline.state).length;
  const all = concat(parts);
  const channels = Array.from({ length: count }, (_, channel) =>
    all.filter((__, i) => i % count === channel),
  );
  return { channels, gaps: joined(gaps), length, timeline };
}

function applyOne(timeline: Timeline, record: TapRecord): void {
  if (record.kind === RecordKind.clock) timeline.advance(record.arrivalMs);
  else timeline.apply(record);
}

export function concat(parts: readonly Int16Array[]): Int16Array {
  const all = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0));
  let position = 0;
  for (const part of parts) {
    all.set(part, position);
    position += part.length;
  }
  return all;
}

/** Gaps sorted, and those that were cut by a pull in one piece again. */
function joined(gaps: readonly Gap[]): Gap[] {
  const out: Gap[] = [];
  for (const gap of [...gaps].sort((a, b) => a.channel - b.channel || a.startSample - b.startSample)) {
    const last = out.at(-1);
    if (
      last?.channel === gap.channel &&
      last.cause === gap.cause &&
      last.startSample + last.samples === gap.startSample
    ) {
      out[out.length - 1] = { ...last, samples: last.samples + gap.samples };
    } else out.push(gap);
  }
  return out;
}

/** Index of the first sample that differs, -1 when none does: long audio takes minutes to be shown as a difference. */
export function difference(actual: Int16Array | undefined, expected: Int16Array): number {
  if (actual === undefined) return 0;
  for (let i = 0; i < Math.max(actual.length, expected.length); i++) {
    if (actual[i] !== expected[i]) return i;
  }
  return -1;
}
