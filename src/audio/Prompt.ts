import { beepName, type Prompt } from '../config/Config.js';
import { ReelayError } from '../config/ReelayError.js';
import { Resampler } from './Resampler.js';
import { readSpeech } from './Speech.js';

/** Rates at which providers play audio, Hz. */
const rates = [8000, 16_000, 24_000, 32_000, 48_000] as const;
/** The longest that is played to callers, s: what the bot says waits behind it. */
const mostSeconds = 30;

/** The tone that tells of a recording in telephony: 1400 Hz, as 47 CFR 64.501 had it; s, and a share of full scale. */
const beep = { hz: 1400, seconds: 0.4, rampSeconds: 0.01, level: 0.2 } as const;

/**
 * Reads every prompt that is configured, and makes the one that needs no file.
 *
 * @throws ReelayError `config_invalid` for a file that can't be read, or holds more than 30 s
 */
export async function readPrompts(
  prompts: Readonly<Record<string, Prompt>>,
): Promise<Readonly<Record<string, Prompt>>> {
  const read = await Promise.all(
    Object.entries(prompts).map(
      async ([name, { file }]) => [name, await readPrompt(name, file ?? '')] as const,
    ),
  );
  return { ...Object.fromEntries(read), [beepName]: beepPrompt() };
}

/** A copy of what is to be played; undefined where it isn't known at that rate. @param sampleRate - Hz */
export function promptAt(prompt: Prompt | undefined, sampleRate: number): Int16Array | undefined {
  const samples = prompt?.samples[sampleRate];
  return samples === undefined ? undefined : new Int16Array(samples).slice();
}

async function readPrompt(name: string, file: string): Promise<Prompt> {
  const highest = rates[rates.length - 1] ?? 0;
  const audio = await readSpeech(file, highest).catch((cause: unknown) => {
    const { message } = cause as Error;
    throw new ReelayError('config_invalid', { value: `prompts.${name}`, remedy: message, cause });
  });
  if (audio.length > mostSeconds * highest) {
    const remedy = `It has ${Math.ceil(audio.length / highest)} s; give one of at most ${mostSeconds}.`;
    throw new ReelayError('config_invalid', { value: `prompts.${name}`, remedy });
  }
  return { file, samples: everyRate((rate) => resampled(audio, highest, rate)) };
}

function beepPrompt(): Prompt {
  return { file: null, samples: everyRate(tone) };
}

function everyRate(at: (rate: number) => Int16Array): Prompt['samples'] {
  return Object.fromEntries(rates.map((rate) => [rate, shared(at(rate))]));
}

function resampled(audio: Int16Array, from: number, to: number): Int16Array {
  const resampler = new Resampler(from, to);
  const [first, last] = [resampler.push(audio), resampler.flush()];
  const whole = new Int16Array(first.length + last.length);
  whole.set(first);
  whole.set(last, first.length);
  return whole;
}

/** Its ends rise and fall, because an edge is heard as a click. */
function tone(rate: number): Int16Array {
  const { hz, seconds, rampSeconds, level } = beep;
  const samples = Math.round(seconds * rate);
  const ramp = rampSeconds * rate;
  return Int16Array.from({ length: samples }, (_none, at) => {
    const edge = Math.min(1, at / ramp, (samples - at) / ramp);
    return Math.round(32_767 * level * edge * Math.sin((2 * Math.PI * hz * at) / rate));
  });
}

function shared(samples: Int16Array): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(samples.byteLength);
  new Int16Array(memory).set(samples);
  return memory;
}
