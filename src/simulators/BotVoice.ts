import { kernels } from '../audio/kernels.js';
import type { BotCall, BotFrame } from './BotCall.js';

export interface VoiceOptions {
  /** Audio per message, ms; Infinity: a whole utterance in one message. Default 20. */
  readonly messageMs?: number;
  /** Silence between two utterances, ms. Default 1500. */
  readonly pauseMs?: number;
  /** Utterances per call. Default Infinity. */
  readonly times?: number;
  /** Stops when the caller speaks over it. */
  readonly bargeIn?: boolean;
  /** Stops itself so long after each utterance was sent, ms; used by tests that need a clear at a known time. */
  readonly clearAfterMs?: number;
}

/** A frame whose peak reaches this, of 32768, is taken for speech. */
const speechPeak = 2000;

/** So many frames of speech in a row interrupt the bot: 60 ms, longer than a click. */
const bargeInFrames = 3;

/**
 * Says an utterance again and again: sends it in a burst, waits for the provider's word that it was played (mark echo, playDone)
 * or for an interruption, pauses, and begins anew.
 */
export class BotVoice {
  readonly #call: BotCall;
  readonly #pcm: Int16Array;
  readonly #options: VoiceOptions;
  #said = 0;
  #speaking = false;
  #loudFrames = 0;
  #pause: NodeJS.Timeout | undefined;
  #clearing: NodeJS.Timeout | undefined;

  /** @param pcm - the utterance at the call's `speakRate` */
  constructor(call: BotCall, pcm: Int16Array, options: VoiceOptions = {}) {
    this.#call = call;
    this.#pcm = pcm;
    this.#options = options;
    call.on('mark', ({ name }) => {
      if (name === this.#name) this.#finished();
    });
    call.on('clipDone', ({ id }) => {
      if (id === this.#name) this.#finished();
    });
    call.on('closed', () => this.stop());
    if (options.bargeIn === true) call.on('audio', (frame) => this.#listen(frame));
    this.#say();
  }

  stop(): void {
    clearTimeout(this.#pause);
    clearTimeout(this.#clearing);
    this.#speaking = false;
  }

  get #name(): string {
    return `utterance-${this.#said}`;
  }

  #say(): void {
    this.#said += 1;
    this.#speaking = true;
    this.#call.say(this.#pcm, this.#options.messageMs, this.#name);
    this.#call.mark(this.#name);
    if (this.#options.clearAfterMs === undefined) return;
    this.#clearing = setTimeout(() => this.#interrupt(), this.#options.clearAfterMs);
  }

  #listen(frame: BotFrame): void {
    const loud = kernels.peak(this.#call.pcm(frame)) >= speechPeak;
    this.#loudFrames = loud ? this.#loudFrames + 1 : 0;
    if (this.#speaking && this.#loudFrames === bargeInFrames) this.#interrupt();
    else if (!this.#speaking && loud) this.#rest();
  }

  #interrupt(): void {
    if (!this.#speaking) return;
    this.#call.clear();
    this.#finished();
  }

  #finished(): void {
    if (!this.#speaking) return;
    this.#speaking = false;
    clearTimeout(this.#clearing);
    this.#rest();
  }

  /** Waits for the pause, from the caller's last word on when the bot lets itself be interrupted. */
  #rest(): void {
    clearTimeout(this.#pause);
    if (this.#said >= (this.#options.times ?? Infinity)) return;
    this.#pause = setTimeout(() => this.#say(), this.#options.pauseMs ?? 1500);
  }
}
