import { kernels } from '../audio/kernels.js';

/** Frames of a voice that may wait for the one that leads; one more, and it leads itself. */
const mostWaiting = 3;

/**
 * Everybody who is heard in a room, as one. LiveKit gives every subscribed track in equal steps, also in silence, so no clock is needed:
 * whenever the voice that leads gives a frame, the others add theirs. A lone voice passes through as it is. Where the leading one is
 * heard no more, the next one whose frames pile up takes its place.
 */
export class VoiceMix {
  readonly #voices = new Map<number, Int16Array[]>();
  readonly #give: (samples: Int16Array) => void;
  #leader: number | null = null;

  /** @param give - gets each mixed frame; it has the length of the leading voice's */
  constructor(give: (samples: Int16Array) => void) {
    this.#give = give;
  }

  get size(): number {
    return this.#voices.size;
  }

  add(voice: number): void {
    this.#voices.set(voice, []);
    this.#leader ??= voice;
  }

  remove(voice: number): void {
    this.#voices.delete(voice);
    if (this.#leader === voice) [this.#leader = null] = this.#voices.keys();
  }

  removeAll(): void {
    this.#voices.clear();
    this.#leader = null;
  }

  /** @param samples - of a voice that was added; others are left out */
  hear(voice: number, samples: Int16Array): void {
    const waiting = this.#voices.get(voice);
    if (waiting === undefined) return;
    waiting.push(samples);
    if (waiting.length > mostWaiting) this.#leader = voice;
    if (voice === this.#leader) this.#mix(waiting);
  }

  #mix(leading: Int16Array[]): void {
    while (leading.length > 0) {
      const mixed = leading.shift();
      if (mixed === undefined) return;
      for (const waiting of this.#voices.values()) {
        const other = waiting === leading ? undefined : waiting.shift();
        if (other?.length === mixed.length) kernels.mix(mixed, other, mixed);
      }
      this.#give(mixed);
    }
  }
}
