/** The time of a bridge, so that a test may have its own. */
export interface BridgeClock {
  /** Monotonic, ms. */
  nowMs(): number;
  /** @returns takes it back */
  after(ms: number, run: () => void): () => void;
}

export const systemClock: BridgeClock = {
  nowMs: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
