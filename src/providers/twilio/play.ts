import { kernels } from '../../audio/kernels.js';
import type { Dialect } from '../Dialect.js';
import { noWarnings } from '../Payload.js';
import { base64, twilioBotMedia } from './messages.js';
import { twilioSampleRate } from './sampleRate.js';

/** Audio per message, samples: a second. A message may be of any length, and Twilio queues what comes faster than it is played. */
const messageSamples = twilioSampleRate;

/** Media messages as a bot sends them. */
export const playOnTwilio: Dialect['play'] = ({ streamId }, audioAs) => {
  const pieces = audioAs(twilioSampleRate, encoded);
  if (pieces === undefined || streamId === null) return null;
  return pieces.map(({ payload, text }) => ({
    data: Buffer.from(twilioBotMedia(streamId, text)),
    isBinary: false,
    event: { kind: 'audio', payload, streamId, warnings: noWarnings },
  }));
};

interface Piece {
  readonly payload: Uint8Array;
  readonly text: string;
}

/** All of the messages but whose they are. */
function encoded(samples: Int16Array): readonly Piece[] {
  const mulaw = new Uint8Array(samples.length);
  kernels.encodeMulaw(samples, mulaw);
  return Array.from({ length: Math.ceil(mulaw.length / messageSamples) }, (_none, index) => {
    const payload = mulaw.subarray(index * messageSamples, (index + 1) * messageSamples);
    return { payload, text: base64(payload) };
  });
}
