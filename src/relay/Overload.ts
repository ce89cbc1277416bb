import { overloadSignals } from '../tap/Counters.js';
import type { OverloadSignal } from '../tap/Counters.js';

/** 0: calls are taken and recorded. 1: new ones are relayed and not recorded. 2: new ones are refused. */
export type OverloadLevel = 0 | 1 | 2;

/** Of the event loop ms, of the ring the share that is full, of memory bytes. */
export type OverloadReadings = Readonly<Record<OverloadSignal, number>>;

export interface OverloadLimits {
  readonly loopDelayMs: number;
  readonly memoryBytes: number;
}

/** The signal that is beyond its limit. */
export interface OverloadCause {
  readonly signal: OverloadSignal;
  readonly value: number;
  readonly limit: number;
}

/** A step is taken back when its signal is below this share of the limit. Memory that was used is seldom given back. */
const relief: OverloadReadings = { loop_delay: 0.8, ring: 0.8, memory: 0.95 };
/** Seconds that are looked back at, and how many of them the event loop must have been late in. */
const windowLooks = 5;
const lateLooks = 2;

/**
 * Decides whether there is too little of something. Recording is given up before audio is, and new calls are refused before
 * those that are up suffer. A pure function of what it has been shown, once a second.
 */
export class Overload {
  readonly #beyond = { 1: new Set<OverloadSignal>(), 2: new Set<OverloadSignal>() };
  readonly #delays: number[] = [];
  #cause: OverloadCause | null = null;

  get level(): OverloadLevel {
    if (this.#beyond[2].size > 0) return 2;
    return this.#beyond[1].size > 0 ? 1 : 0;
  }

  /** What the level is for; null at 0. */
  get cause(): OverloadCause | null {
    return this.#cause;
  }

  /** @param readings - of the last second; the event loop's is its p99 */
  look(readings: OverloadReadings, limits: OverloadLimits): OverloadLevel {
    const values = { ...readings, loop_delay: this.#sustained(readings.loop_delay) };
    for (const step of [1, 2] as const) this.#decide(step, values, limitsOf(step, limits));
    const { level } = this;
    this.#cause = level === 0 ? null : this.#causeOf(level, values, limitsOf(level, limits));
    return level;
  }

  /** One second's standstill is an accident (a machine that was moved, a large collection); two of five are a state. */
  #sustained(delayMs: number): number {
    this.#delays.unshift(delayMs);
    this.#delays.length = Math.min(this.#delays.length, windowLooks);
    return [...this.#delays].sort((a, b) => b - a)[lateLooks - 1] ?? 0;
  }

  #decide(step: 1 | 2, values: OverloadReadings, limits: OverloadReadings): void {
    for (const signal of overloadSignals) {
      if (values[signal] > limits[signal]) this.#beyond[step].add(signal);
      else if (values[signal] < relief[signal] * limits[signal]) this.#beyond[step].delete(signal);
    }
  }

  #causeOf(level: 1 | 2, values: OverloadReadings, limits: OverloadReadings): OverloadCause | null {
    const [signal] = this.#beyond[level];
    return signal === undefined ? null : { signal, value: values[signal], limit: limits[signal] };
  }
}

/** A full ring costs recordings and no call, so it never refuses one. */
function limitsOf(step: 1 | 2, { loopDelayMs, memoryBytes }: OverloadLimits): OverloadReadings {
  return step === 1
    ? { loop_delay: loopDelayMs, ring: 0.5, memory: 0.9 * memoryBytes }
    : { loop_delay: 2 * loopDelayMs, ring: Infinity, memory: memoryBytes };
}
