import type { Logger } from 'pino';
import type { Config } from '../config/Config.js';
import { errorCodes } from '../config/ReelayError.js';
import { overloadSignals } from '../tap/Counters.js';
import type { Counters } from '../tap/Counters.js';
import { memoryLimit } from './memoryLimit.js';
import { Overload } from './Overload.js';
import type { OverloadLevel, OverloadReadings } from './Overload.js';

const share = 0.99;
const ownLimit = memoryLimit();

/** Looks once a second how the media thread, its ring and the process's memory are, and tells once when the {@link Overload} changes. */
export class OverloadWatch {
  readonly #overload = new Overload();
  readonly #counters: Counters;
  readonly #log: Logger;
  readonly #changed: (level: OverloadLevel) => void;
  #before: { readonly media: Float64Array; readonly frames: Float64Array };

  /** @param changed - told after each change of level */
  constructor(counters: Counters, log: Logger, changed: (level: OverloadLevel) => void) {
    this.#counters = counters;
    this.#log = log;
    this.#changed = changed;
    this.#before = this.#snapshots();
  }

  get level(): OverloadLevel {
    return this.#overload.level;
  }

  /** To be called once a second. */
  tick({ loopDelayMs, memoryBytes }: Config['limits']): void {
    const before = this.level;
    const level = this.#overload.look(this.#readings(), {
      loopDelayMs,
      memoryBytes: memoryBytes ?? ownLimit,
    });
    this.#note(level);
    if (level === before) return;
    this.#tell(level);
    this.#changed(level);
  }

  #readings(): OverloadReadings {
    const { media, frames } = this.#counters.loopDelay;
    const loopDelay = Math.max(
      media.quantileSince(this.#before.media, share),
      frames.quantileSince(this.#before.frames, share),
    );
    this.#before = this.#snapshots();
    return { loop_delay: loopDelay, ring: this.#counters.ringShare, memory: process.memoryUsage.rss() };
  }

  /** Of the loops that frames pass through: this thread's, and the native one's. */
  #snapshots() {
    const { media, frames } = this.#counters.loopDelay;
    return { media: media.snapshot(), frames: frames.snapshot() };
  }

  #note(level: OverloadLevel): void {
    const { cause } = this.#overload;
    this.#counters.set('overloadLevel', level);
    if (cause === null) return;
    this.#counters.set('overloadSignal', overloadSignals.indexOf(cause.signal));
    this.#counters.set('overloadValue', cause.value);
    this.#counters.set('overloadLimit', cause.limit);
  }

  #tell(level: OverloadLevel): void {
    const fields = { code: 'overloaded', overloadLevel: level, ...this.#overload.cause };
    if (level === 0) this.#log.info(fields, 'new calls are taken and recorded again');
    else this.#log.warn({ ...fields, then: thenOf[level] }, errorCodes.overloaded);
  }
}

const thenOf = {
  1: 'new calls are relayed and not recorded',
  2: 'new calls are refused',
} as const;
