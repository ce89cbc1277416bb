import { meanSquareOf } from '../audio/Decibels.js';
import { kernels } from '../audio/kernels.js';
import type { BridgeClock } from './BridgeClock.js';
import { PlayoutLead } from './PlayoutLead.js';

/** What a phone is played on. */
export interface Phone {
  /** @param samples - mono at the phone's rate. @returns false when it takes no more just now */
  say(samples: Int16Array): boolean;
  /** Drops what was said and isn't played yet. */
  clear(): void;
}

/** More than this waits at the phone: frames without speech are left out until it is less, ms. */
const comfortMs = 40;
/** More than this: nothing is sent until it is less, ms. */
const mostMs = 400;
/** More than this: tones aren't played, ms; as long as they wait, nothing that is said is heard. */
const mostBeforeToneMs = 2000;
/** How long at most what is still on its way from an agent that was interrupted is left out, ms: a jitter buffer's length. */
const cutMs = 250;
const quiet = meanSquareOf(-50);

/**
 * What is heard in the room, on its way to the phone. A frame is sent when it comes, so it paces itself, and the phone plays what it
 * gets one after another. Where frames came late and then at once, what waits there would stay for good, because silence waits as
 * well: so silence is left out as long as too much waits, and speech that would be played too late as well.
 *
 * What waits is cut, by the dialect's own `clear`, in two cases:
 * - an agent that says of itself that it speaks (`lk.agent.state`) stops while the caller talks: it was interrupted. What is still on
 *   its way from it, up to the next silence, is left out too.
 * - nobody is heard any more, because the last track was muted or is gone, and more than a little waits.
 */
export class PhoneVoice {
  readonly #phone: Phone;
  readonly #clock: BridgeClock;
  readonly #rate: number;
  readonly #lead = new PlayoutLead();
  readonly #energy = new Float64Array(1);
  #cutUntilMs = -Infinity;
  droppedMs = 0;
  clears = 0;

  /** @param rate - Hz */
  constructor(phone: Phone, rate: number, clock: BridgeClock) {
    this.#phone = phone;
    this.#rate = rate;
    this.#clock = clock;
  }

  /** @param samples - a frame of the room */
  hear(samples: Int16Array): void {
    const nowMs = this.#clock.nowMs();
    const isQuiet = this.#powerOf(samples) < quiet;
    const ms = (samples.length * 1000) / this.#rate;
    if (isQuiet) this.#cutUntilMs = -Infinity;
    const leadMs = this.#lead.at(nowMs);
    const isLate = leadMs > mostMs || (isQuiet && leadMs > comfortMs);
    if (nowMs < this.#cutUntilMs) return;
    if (isLate || !this.#phone.say(samples)) this.droppedMs += ms;
    else this.#lead.add(ms, nowMs);
  }

  /** Something of reelay's own, which is played whatever else is, unless that would only be long from now: anybody in the room can ask for it. */
  tone(samples: Int16Array): void {
    const nowMs = this.#clock.nowMs();
    const ms = (samples.length * 1000) / this.#rate;
    const isLate = this.#lead.at(nowMs) > mostBeforeToneMs;
    if (isLate || !this.#phone.say(samples)) this.droppedMs += ms;
    else this.#lead.add(ms, nowMs);
  }

  /** The agent stopped speaking because the caller talks. */
  interrupted(): void {
    this.#clear();
    this.#cutUntilMs = this.#clock.nowMs() + cutMs;
  }

  /** Nobody is heard any more. */
  hushed(): void {
    if (this.#lead.at(this.#clock.nowMs()) > comfortMs) this.#clear();
  }

  #clear(): void {
    this.clears++;
    this.#lead.clear();
    this.#phone.clear();
  }

  #powerOf(samples: Int16Array): number {
    if (samples.length === 0) return 0;
    kernels.energies(samples, samples.length, this.#energy);
    return this.#energy[0] ?? 0;
  }
}
