import type { BotCall } from '../../src/simulators/BotCall.js';
import type { CallScript } from '../../src/simulators/CallerOptions.js';
import type { BotSpeech } from './BotSpeech.js';

/** One call of a test: what the caller does by its script, and what the bot does by its function. */
export interface Scenario extends CallScript {
  readonly name: string;
  readonly provider: 'twilio' | 'jambonz';
  readonly seconds: number;
  /** What the bot does; called at each stream's start. Default: nothing. */
  readonly bot?: (call: BotCall, speech: BotSpeech) => void;
  /** Times at which the bot's audio is cut off before it was heard; default 1, for the end of the call. */
  readonly cuts?: number;
  /** jambonz only. Default 8000. */
  readonly sampleRate?: number;
  readonly mixType?: 'mono' | 'mixed' | 'stereo';
  readonly returns?: 'streaming' | 'playAudio' | 'none';
  /** Rate of what the bot sends where it isn't the stream's. */
  readonly returnSampleRate?: number;
}
