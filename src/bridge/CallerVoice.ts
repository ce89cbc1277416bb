import { meanSquareOf } from '../audio/Decibels.js';
import { kernels } from '../audio/kernels.js';
import { Resampler } from '../audio/Resampler.js';
import { SpeechDetector } from '../audio/SpeechDetector.js';
import type { BridgeClock } from './BridgeClock.js';
import { PlayoutLead } from './PlayoutLead.js';
import { roomRates, type Room } from './Room.js';

/** Rate for what comes at one that rooms don't take, Hz. */
const otherRate = 48_000;
const frameMs = 20;
/** More than this waits at the room: frames without speech are left out until it is less. */
const comfortMs = 60;
/** More than this: what waits is dropped, and the newest counts. */
const mostMs = 240;
/** What has no speech worth its delay, mean square: -50 dBFS. */
const quiet = meanSquareOf(-50);
/** So many frames of 10 ms with speech, one after another, are a caller who talks, and not a click. */
const talkFrames = 5;
/** How long after it the caller counts as talking, ms. */
const talkHoldMs = 600;

/**
 * What the caller says, on its way into the room. The room plays it in real time and fills every hole with silence of its own, so what
 * comes late once stays late for good, and the delay of a call would only ever grow: of what waits too long something is dropped.
 * Captures are handed over one after another, because the SDK refuses a second one beside the first.
 */
export class CallerVoice {
  /** Of what is handed to the room, Hz. */
  readonly rate: number;
  readonly #clock: BridgeClock;
  readonly #resampler: Resampler | null;
  readonly #frameSamples: number;
  readonly #energies = new Float64Array(2);
  readonly #lead = new PlayoutLead();
  readonly #detector = new SpeechDetector();
  #room: Room | null = null;
  #rest = new Int16Array(0);
  #waiting: Int16Array[] = [];
  /** The room that is being handed what waits. */
  #saying: Room | null = null;
  #speechFrames = 0;
  #talkedMs = -Infinity;
  /** Audio that nobody in a room that was there has heard, ms. */
  droppedMs = 0;

  /** @param lineRate - of what comes, Hz */
  constructor(lineRate: number, clock: BridgeClock) {
    this.rate = roomRates.includes(lineRate) ? lineRate : otherRate;
    this.#resampler = this.rate === lineRate ? null : new Resampler(lineRate, this.rate);
    this.#frameSamples = (this.rate * frameMs) / 1000;
    this.#clock = clock;
  }

  /** Whether the caller talks, or did a moment ago. */
  get isTalking(): boolean {
    return this.#clock.nowMs() - this.#talkedMs < talkHoldMs;
  }

  /** Whoever was in the room before has heard what was said before; those in this one hear what comes. */
  enter(room: Room): void {
    this.leave();
    this.#room = room;
  }

  leave(): void {
    this.#room = null;
    this.#waiting = [];
    this.#lead.clear();
  }

  /** @param samples - mono at the line's rate, of any length */
  hear(samples: Int16Array): void {
    const heard = this.#resampler?.push(samples) ?? samples;
    const whole = new Int16Array(this.#rest.length + heard.length);
    whole.set(this.#rest);
    whole.set(heard, this.#rest.length);
    const each = this.#frameSamples;
    let at = 0;
    // Each in memory of its own: the SDK takes the whole of what an array is a view of.
    for (; at + each <= whole.length; at += each) this.#frame(whole.slice(at, at + each));
    this.#rest = whole.slice(at);
  }

  #frame(samples: Int16Array): void {
    const nowMs = this.#clock.nowMs();
    const power = this.#listen(samples, nowMs);
    if (this.#room === null) return;
    const leadMs = this.#lead.at(nowMs);
    if (leadMs > mostMs) this.#startAnew(this.#room, leadMs);
    else if (leadMs > comfortMs && power < quiet) {
      this.droppedMs += frameMs;
      return;
    }
    this.#lead.add(frameMs, nowMs);
    this.#waiting.push(samples);
    if (this.#saying !== this.#room) void this.#say(this.#room);
  }

  #startAnew(room: Room, leadMs: number): void {
    this.droppedMs += leadMs;
    this.#waiting = [];
    this.#lead.clear();
    room.clear();
  }

  /** A room that was left may never settle its last capture; the next one doesn't wait for it. */
  async #say(room: Room): Promise<void> {
    this.#saying = room;
    while (this.#room === room) {
      const samples = this.#waiting.shift();
      if (samples === undefined) break;
      try {
        await room.say(samples);
      } catch {
        // One frame; whether the room is lost its owner hears.
        this.droppedMs += frameMs;
      }
    }
    if (this.#saying === room) this.#saying = null;
  }

  /** @returns mean square of the frame */
  #listen(samples: Int16Array, nowMs: number): number {
    kernels.energies(samples, samples.length / 2, this.#energies);
    let power = 0;
    for (const half of this.#energies) {
      power += half / 2;
      this.#speechFrames = this.#detector.hear(half) ? this.#speechFrames + 1 : 0;
      if (this.#speechFrames >= talkFrames) this.#talkedMs = nowMs;
    }
    return power;
  }
}
