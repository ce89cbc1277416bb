/** What a client is waited for. */
export interface Pace {
  /** At least so much it takes, bytes per second. */
  readonly bytesPerSecond: number;
  /** So long it may take nothing, or fall behind that, ms. */
  readonly patienceMs: number;
}

export const patienceMs = 60_000;
/** Less than anybody takes who listens, in whatever form: one channel of Ogg Opus has 3000 bytes a second. */
const usualPace: Pace = { bytesPerSecond: 2000, patienceMs };

/**
 * The same pieces, for a client that takes them at some pace. Only the time that it lets a piece lie counts, not what making the next one
 * takes; whoever was quick for a while may be slow for a while. Without this, one that takes a little now and then would keep its place for ever.
 *
 * @param tooSlow - told once when it has taken too little for too long
 */
export async function* paced(
  pieces: AsyncIterable<Uint8Array>,
  tooSlow: () => void,
  pace: Pace = usualPace,
): AsyncGenerator<Uint8Array, void, undefined> {
  let leftMs = pace.patienceMs;
  for await (const piece of pieces) {
    const earnedMs = (piece.length / pace.bytesPerSecond) * 1000;
    const givenMs = performance.now();
    const late = setTimeout(tooSlow, leftMs + earnedMs);
    try {
      yield piece;
    } finally {
      clearTimeout(late);
    }
    leftMs = Math.min(pace.patienceMs, leftMs + earnedMs - (performance.now() - givenMs));
  }
}
