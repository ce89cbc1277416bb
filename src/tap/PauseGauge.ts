import { PerformanceObserver, constants } from 'node:perf_hooks';
import type { GcKind } from './Counters.js';
import type { Histogram } from './Histogram.js';

const kindOf: Readonly<Record<number, GcKind>> = {
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
};

/** How long garbage collection stops the thread that this runs in. Costs something per collection, nothing per frame. */
export class PauseGauge {
  readonly #observer: PerformanceObserver;

  constructor(pauses: Readonly<Record<GcKind, Histogram>>) {
    this.#observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const { detail } = entry as { readonly detail?: { readonly kind?: number } };
        const kind = kindOf[detail?.kind ?? 0];
        if (kind !== undefined) pauses[kind].observe(entry.duration);
      }
    });
  }

  start(): void {
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  stop(): void {
    this.#observer.disconnect();
  }
}
