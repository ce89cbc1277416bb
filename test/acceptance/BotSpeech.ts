import { kernels } from '../../src/audio/kernels.js';
import { samplesOf } from '../../src/audio/pcm.js';
import type { BotCall, BotFrame } from '../../src/simulators/BotCall.js';
import { joined } from './Oracle.js';

/** What a bot says in one call, over all its streams: it takes its words from a voice that never repeats itself. */
export class BotSpeech {
  readonly #voice: Int16Array;
  readonly #sent: Int16Array[] = [];
  #next = 0;

  constructor(voice: Int16Array) {
    this.#voice = voice;
  }

  /** Everything sent so far, as it decodes at the other end. */
  get sent(): Int16Array {
    return joined(this.#sent);
  }

  /** Says so much of the voice at once. @param messageMs - audio per message; Infinity: all in one */
  say(call: BotCall, ms: number, messageMs = 20): void {
    for (const bytes of this.#messages(call, ms, messageMs)) this.#send(call, bytes);
  }

  /** Sends a clip (jambonz playAudio). @param queued - false: it starts at once and drops what waits */
  clip(call: BotCall, ms: number, id: string, queued: boolean): void {
    for (const bytes of this.#messages(call, ms, Infinity)) {
      call.sendAudio(bytes, { id, queued });
      this.#sent.push(decoded(call, bytes));
    }
  }

  /** Sends each frame back; of stereo the caller's side. */
  echo(call: BotCall): void {
    call.on('audio', (frame: BotFrame) => {
      this.#send(call, call.channels === 1 ? frame.payload : call.encode(call.pcm(frame)));
    });
  }

  #send(call: BotCall, bytes: Uint8Array): void {
    call.sendAudio(bytes);
    this.#sent.push(decoded(call, bytes));
  }

  *#messages(call: BotCall, ms: number, messageMs: number): Generator<Uint8Array> {
    const samples = Math.round((ms * call.speakRate) / 1000);
    const each = Math.min(samples, Math.round((Math.min(messageMs, ms) * call.speakRate) / 1000));
    for (let at = 0; at < samples; at += each) {
      const words = this.#voice.subarray(this.#next, this.#next + Math.min(each, samples - at));
      this.#next += words.length;
      yield call.encode(words);
    }
  }
}

function decoded(call: BotCall, bytes: Uint8Array): Int16Array {
  if (call.provider === 'jambonz') return samplesOf(bytes).slice();
  const pcm = new Int16Array(bytes.length);
  kernels.decodeMulaw(bytes, pcm);
  return pcm;
}

/** Does something once so much of the caller's audio has reached the bot. */
export function whenHeard(call: BotCall, ms: number, action: () => void): void {
  const samples = (ms * call.sampleRate) / 1000;
  let heard = 0;
  const listen = (frame: BotFrame): void => {
    heard += call.pcm(frame).length;
    if (heard < samples) return;
    call.off('audio', listen);
    action();
  };
  call.on('audio', listen);
}
