import { publishedMs, type Said } from './Participant.js';
import { find, rate, sweeps } from './sweeps.js';

/** Pieces that are looked for at a place, and how long each is, s. */
const pieces = 5;
const pieceSeconds = 0.2;
/** What is heard as it was said comes through the codec at 0.77 or more, and mostly at 0.98; nothing else is more alike than 0.65. */
const leastLikeness = 0.75;

/** Everything that somebody says, made once. */
const spoken = new Map<number, Int16Array>();

function wholeOf({ seed, seconds }: Said): Int16Array {
  const known = spoken.get(seed);
  if (known !== undefined && known.length >= seconds * rate) return known;
  const whole = sweeps(seed, seconds);
  spoken.set(seed, whole);
  return whole;
}

export interface Placed {
  /** Where it lies in the recording less when it was said, ms: the same for everything that is placed right, and for each lane. */
  readonly offsetMs: number;
  /** How many of the pieces that were looked for are there. */
  readonly found: number;
}

/**
 * Looks for what was said from `second` on in a lane, piece by piece. Where the network, or a machine that has other work, loses
 * something, the jitter buffer makes up for it, and a piece isn't found; those that are lie where all of it does.
 *
 * @param aboutMs - the offset that is expected; null: any
 */
export function place(track: Int16Array, said: Said, second: number, aboutMs: number | null): Placed {
  const whole = wholeOf(said);
  const offsets: number[] = [];
  for (let piece = 0; piece < pieces; piece++) {
    const start = Math.round((second + piece * (1 - pieceSeconds)) * rate);
    const saidMs = publishedMs(said, start, rate);
    const about = aboutMs === null ? null : ((saidMs + aboutMs) * rate) / 1000;
    const [from, to] = about === null ? [0, track.length] : [about - rate / 4, about + rate / 4];
    const { at, likeness } = find(whole.subarray(start, start + pieceSeconds * rate), track, from, to);
    if (likeness > leastLikeness) offsets.push((at * 1000) / rate - saidMs);
  }
  offsets.sort((a, b) => a - b);
  return { offsetMs: offsets[offsets.length >> 1] ?? NaN, found: offsets.length };
}
