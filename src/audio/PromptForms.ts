import type { Prompt } from '../config/Config.js';
import { promptAt } from './Prompt.js';

/** Makes of 16-bit mono samples at a rate in Hz what is sent; depends on nothing else. */
export type PromptForm<Sent> = (samples: Int16Array, sampleRate: number) => Sent;

const known = new WeakMap<Prompt, PromptForms>();

/**
 * A prompt in the forms in which it is sent. Each is made once, when it is first asked for, because that takes longer than a call's frame
 * may wait, and is kept as long as the configuration that has the prompt: for each rate at which it was asked for at most a form per dialect.
 */
export class PromptForms {
  readonly #prompt: Prompt;
  readonly #made = new Map<PromptForm<unknown>, Map<number, unknown>>();

  static of(prompt: Prompt): PromptForms {
    let forms = known.get(prompt);
    if (forms === undefined) known.set(prompt, (forms = new PromptForms(prompt)));
    return forms;
  }

  private constructor(prompt: Prompt) {
    this.#prompt = prompt;
  }

  /**
   * @param form - always the same function for the same form
   * @returns what is shared by all who ask; undefined where the prompt isn't known at that rate
   */
  at<Sent>(sampleRate: number, form: PromptForm<Sent>): Sent | undefined {
    const made = this.#of(form);
    const found = made.get(sampleRate);
    if (found !== undefined) return found;
    const samples = promptAt(this.#prompt, sampleRate);
    if (samples === undefined) return undefined;
    const sent = form(samples, sampleRate);
    made.set(sampleRate, sent);
    return sent;
  }

  #of<Sent>(form: PromptForm<Sent>): Map<number, Sent> {
    let made = this.#made.get(form) as Map<number, Sent> | undefined;
    if (made === undefined) this.#made.set(form, (made = new Map<number, Sent>()));
    return made;
  }
}
