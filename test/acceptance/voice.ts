import { randomFrom } from './randomFrom.js';

/**
 * Speech for tests that have to know every sample again: noise from a seed, never zero, so that a recording's zeros are
 * silence and any few samples in a row occur once.
 */

/** @returns loud values that survive mu-law as values other than zero */
export function loudVoice(seed: number, samples: number): Int16Array {
  return noise(seed, samples, (random) => sign(random) * (1000 + (Math.floor(random * 1_000_003) % 20_000)));
}

/**
 * A caller and a bot whose sum can be taken apart again: the caller says multiples of 256, the bot less than half of that.
 * The bot leaves out -1, which jambonz takes for a mark.
 */
export function callerVoice(seed: number, samples: number): Int16Array {
  return noise(seed, samples, (random) => sign(random) * 256 * (1 + (Math.floor(random * 1_000_003) % 100)));
}

export function botVoice(seed: number, samples: number): Int16Array {
  return noise(seed, samples, (random) => sign(random) * (2 + (Math.floor(random * 1_000_003) % 118)));
}

/** Undoes the sum of {@link callerVoice} and {@link botVoice}. */
export function apart(sum: Int16Array): { caller: Int16Array; bot: Int16Array } {
  const bot = sum.map((value) => ((value + 128) & 255) - 128);
  return { caller: sum.map((value, index) => value - (bot[index] ?? 0)), bot };
}

function sign(random: number): number {
  return random < 0.5 ? -1 : 1;
}

function noise(seed: number, samples: number, value: (random: number) => number): Int16Array {
  const random = randomFrom(seed);
  return Int16Array.from({ length: samples }, () => value(random()));
}
