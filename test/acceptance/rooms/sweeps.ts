import { randomFrom } from '../randomFrom.js';

/** Hz of everything that participants say. */
export const rate = 48_000;
const sweepMs = 125;
const lowest = 300;
const highest = 2500;

/**
 * Speech for tests that have to find it again behind a lossy codec: sweeps from one random pitch to another, one after the other without
 * a pause, which survive Opus and of which a second occurs once.
 */
export function sweeps(seed: number, seconds: number): Int16Array {
  const random = randomFrom(seed);
  const length = (rate * sweepMs) / 1000;
  const said = new Int16Array(seconds * rate);
  let phase = 0;
  for (let start = 0; start < said.length; start += length) {
    const [from, to] = [pitch(random()), pitch(random())];
    for (let index = 0; index < length && start + index < said.length; index++) {
      phase += (2 * Math.PI * (from + ((to - from) * index) / length)) / rate;
      const envelope = 0.3 + 0.7 * Math.sin((Math.PI * index) / length);
      said[start + index] = 9000 * envelope * Math.sin(phase);
    }
  }
  return said;
}

function pitch(random: number): number {
  return lowest + (highest - lowest) * random;
}

export interface Found {
  /** Where the piece begins in the track, samples. */
  readonly at: number;
  /** Normalized, 0 to 1. */
  readonly likeness: number;
}

/** Every so manieth sample is compared: at 8 kHz everything is there that was said. */
const step = 6;

/**
 * Where a piece of what was said lies in a track, by cross-correlation.
 *
 * @param from - and `to`: where it may begin, samples of the track
 */
export function find(piece: Int16Array, track: Int16Array, from: number, to: number): Found {
  const wanted = thin(piece, 0, piece.length);
  const first = Math.max(0, Math.floor(from / step) * step);
  const searched = thin(track, first, Math.min(track.length, to + piece.length));
  const energy = wanted.reduce((sum, value) => sum + value * value, 0);
  let best = { at: -1, likeness: 0 };
  for (let lag = 0; lag + wanted.length <= searched.length; lag++) {
    let [product, own] = [0, 0];
    for (let index = 0; index < wanted.length; index++) {
      const value = searched[lag + index] ?? 0;
      product += value * (wanted[index] ?? 0);
      own += value * value;
    }
    const likeness = own === 0 ? 0 : product / Math.sqrt(own * energy);
    if (likeness > best.likeness) best = { at: first + lag * step, likeness };
  }
  return best;
}

/** Averages of neighbours, so that nothing is folded into what is compared. */
function thin(samples: Int16Array, from: number, to: number): Float64Array {
  const thinned = new Float64Array(Math.max(0, Math.floor((to - from) / step)));
  for (let index = 0; index < thinned.length; index++) {
    let sum = 0;
    for (let each = 0; each < step; each++) sum += samples[from + index * step + each] ?? 0;
    thinned[index] = sum / step;
  }
  return thinned;
}
