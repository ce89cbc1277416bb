import { overloadSignals } from '../../tap/Counters.js';
import type { Counters } from '../../tap/Counters.js';
import type { Alerts } from './Alerts.js';

const lookEveryMs = 1000;
/** Looks without overload in a row until it is told to be over: load that comes and goes pages once. */
const calmLooks = 30;

/** Raises an alert while the media thread gives up recordings or refuses calls for want of CPU, memory or ring. */
export class OverloadAlert {
  readonly #counters: Counters;
  readonly #alerts: Alerts;
  #calm = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(counters: Counters, alerts: Alerts) {
    this.#counters = counters;
    this.#alerts = alerts;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.look(), lookEveryMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** To be called once a second. */
  look(): void {
    const level = this.#counters.get('overloadLevel');
    this.#calm = level === 0 ? this.#calm + 1 : 0;
    if (level === 0) {
      if (this.#calm === calmLooks)
        this.#alerts.resolve('overload', 'new calls are taken and recorded again');
      return;
    }
    const signal = overloadSignals[this.#counters.get('overloadSignal')];
    const [value, limit] = [this.#counters.get('overloadValue'), this.#counters.get('overloadLimit')];
    this.#alerts.raise('overload', {
      code: 'overloaded',
      message: 'the machine is short of something; new calls are not recorded, or refused',
      details: { overloadLevel: level, signal, value, limit },
    });
  }
}
