import { kernels } from '../../audio/kernels.js';
import type { Dialect } from '../Dialect.js';
import { twilioBotMedia } from './messages.js';
import { twilioSampleRate } from './sampleRate.js';

/** Audio per message, samples: 100 ms. Twilio queues what comes faster than it is played. */
const messageSamples = twilioSampleRate / 10;

/** Media messages as a bot sends them. */
export const playOnTwilio: Dialect['play'] = ({ streamId }, audioAt) => {
  const samples = audioAt(twilioSampleRate);
  if (samples === undefined || streamId === null) return null;
  const mulaw = new Uint8Array(samples.length);
  kernels.encodeMulaw(samples, mulaw);
  return Array.from({ length: Math.ceil(mulaw.length / messageSamples) }, (_none, index) => {
    const payload = mulaw.subarray(index * messageSamples, (index + 1) * messageSamples);
    return { data: Buffer.from(twilioBotMedia(streamId, payload)), isBinary: false };
  });
};
