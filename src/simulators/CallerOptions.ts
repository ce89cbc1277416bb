import { ReelayError } from '../config/ReelayError.js';
import type { CallerAudio } from './CallerAudio.js';
import type { Metronome } from './Metronome.js';

/** What goes wrong or happens during a call. All times are ms on the call's clock, 0 being the first stream's start message. */
export interface CallScript {
  /** Nothing is delivered for so long, then everything at once; timestamps stay continuous (jambonz: one long message). */
  readonly stalls?: readonly { readonly atMs: number; readonly forMs: number }[];
  /** Frames that begin in [fromMs, toMs) are lost by the provider: timestamps and counters jump over them. */
  readonly drops?: readonly { readonly fromMs: number; readonly toMs: number }[];
  /** From then on timestamps are off by so much; negative: backwards. Twilio only. */
  readonly jumps?: readonly { readonly atMs: number; readonly byMs: number }[];
  readonly dtmf?: readonly { readonly atMs: number; readonly digit: string }[];
  /** The stream ends and a new one of the same call is opened so much later. */
  readonly restarts?: readonly { readonly atMs: number; readonly afterMs: number }[];
  /** The TCP connection is destroyed: no stop message, no close frame. */
  readonly vanishAtMs?: number;
}

export interface CallerOptions extends CallScript {
  readonly url: string;
  /** What the caller says; default silence. Its rate must be the stream's. Several callers may share one. */
  readonly audio?: CallerAudio;
  /** Length of the call; default: until `hangUp()` or the server closes. */
  readonly seconds?: number;
  readonly accountSid?: string;
  readonly callSid?: string;
  /** Further headers of the upgrade. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: the one that all callers of the process share. */
  readonly metronome?: Metronome;
}

/** The rate in Hz, if a frame of 20 ms has a whole number of samples. */
export function checkedRate(sampleRate: number): number {
  if (Number.isInteger(sampleRate / 50) && sampleRate >= 4000 && sampleRate <= 192_000) return sampleRate;
  throw new ReelayError('sample_rate_invalid', {
    value: sampleRate,
    remedy: 'Use a multiple of 50 Hz, for example 8000, 16000, 24000 or 48000.',
  });
}

export function checkedAudio(audio: CallerAudio, sampleRate: number): CallerAudio {
  if (audio.sampleRate === sampleRate) return audio;
  throw new ReelayError('sample_rate_invalid', {
    value: audio.sampleRate,
    remedy: `Read the caller's audio at ${sampleRate} Hz.`,
  });
}
