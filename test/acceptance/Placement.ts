/** A stretch of what a party said, and where it lies on a time line. All in samples. */
export interface Stretch {
  /** Of its first sample in what was said. */
  readonly index: number;
  readonly at: number;
  readonly samples: number;
}

/** So many samples in a row of a voice occur once. */
const windowSamples = 8;

/**
 * Finds what was said in a recorded channel, in which zeros are silence: every other sample must be a sample of `said`, and
 * those must lie in the order in which they were said.
 *
 * @param said - never zero, and without repetition of a few samples
 * @throws Error for a sample that nobody said
 */
export function stretchesIn(track: Int16Array, said: Int16Array): Stretch[] {
  const stretches: Stretch[] = [];
  let at = 0;
  let next = 0;
  while (at < track.length) {
    if (track[at] === 0) {
      at += 1;
      continue;
    }
    const index = find(track, at, said, next);
    if (index < 0) {
      const seen = track.subarray(at, at + 6).join(' ');
      throw new Error(`sample ${at}: nobody said ${seen} after sample ${next} of what was said`);
    }
    let samples = 1;
    while (at + samples < track.length && track[at + samples] === said[index + samples]) samples += 1;
    stretches.push({ index, at, samples });
    at += samples;
    next = index + samples;
  }
  return stretches;
}

/** Where the audio at `at` begins in what was said: right at `next` if it can be, else later, else anywhere. */
function find(track: Int16Array, at: number, said: Int16Array, next: number): number {
  let length = 1;
  while (length < windowSamples && (track[at + length] ?? 0) !== 0) length += 1;
  const matches = (index: number): boolean => {
    for (let i = 0; i < length; i += 1) if (track[at + i] !== said[index + i]) return false;
    return true;
  };
  if (matches(next)) return next;
  const needle = Buffer.from(track.slice(at, at + length).buffer);
  const hay = Buffer.from(said.buffer, said.byteOffset, said.byteLength);
  for (const from of [next, 0]) {
    for (let byte = hay.indexOf(needle, from * 2); byte >= 0; byte = hay.indexOf(needle, byte + 1)) {
      if (byte % 2 === 0) return byte / 2;
    }
  }
  return -1;
}

/** How what was recorded compares with what was heard. */
export interface Comparison {
  /** Heard and not recorded, and the other way round: intervals of what was said. */
  readonly missing: readonly Interval[];
  readonly extra: readonly Interval[];
  /** Recorded more than once, or out of order. */
  readonly misplaced: readonly Interval[];
  /** Recorded minus heard position, samples, for each ms of audio that is in both. */
  readonly errors: readonly number[];
}

export interface Interval {
  readonly from: number;
  readonly samples: number;
}

/**
 * @param saidSamples - length of what was said
 * @param perMs - samples per ms
 */
export function compare(
  recorded: readonly Stretch[],
  heard: readonly Stretch[],
  saidSamples: number,
  perMs: number,
): Comparison {
  const recordedAt = positions(recorded, saidSamples);
  const heardAt = positions(heard, saidSamples);
  const errors: number[] = [];
  for (let index = 0; index < saidSamples; index += perMs) {
    const error = (recordedAt[index] ?? NaN) - (heardAt[index] ?? NaN);
    if (!Number.isNaN(error)) errors.push(error);
  }
  const isIn = (at: Float64Array, index: number): boolean => !Number.isNaN(at[index]);
  let end = 0;
  const misplaced = recorded.filter(({ index, samples }) => {
    const isBehind = index < end;
    end = Math.max(end, index + samples);
    return isBehind;
  });
  return {
    missing: intervals(saidSamples, (index) => isIn(heardAt, index) && !isIn(recordedAt, index)),
    extra: intervals(saidSamples, (index) => isIn(recordedAt, index) && !isIn(heardAt, index)),
    misplaced: misplaced.map(({ index, samples }) => ({ from: index, samples })),
    errors,
  };
}

function positions(stretches: readonly Stretch[], saidSamples: number): Float64Array {
  const at = new Float64Array(saidSamples).fill(NaN);
  for (const stretch of stretches) {
    for (let i = 0; i < stretch.samples; i += 1) at[stretch.index + i] = stretch.at + i;
  }
  return at;
}

function intervals(length: number, holds: (index: number) => boolean): Interval[] {
  const found: Interval[] = [];
  for (let index = 0; index < length; index += 1) {
    if (!holds(index)) continue;
    const from = index;
    while (index < length && holds(index)) index += 1;
    found.push({ from, samples: index - from });
  }
  return found;
}
