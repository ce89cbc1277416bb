import { bytesOf } from '../../audio/pcm.js';
import { ownClipId, type Dialect, type PlayMessage } from '../Dialect.js';
import { jambonzPlayAudio } from './messages.js';

/**
 * Audio per binary message, ms, which is filled up with silence. The client plays nothing of a message of less than 160 ms
 * until more comes.
 */
const messageMs = 200;

/** Binary audio or a clip, whichever the application sends back itself. */
export const playOnJambonz: Dialect['play'] = ({ sampleRate, jambonz }, audioAt) => {
  const { returns, returnSampleRate, legSampleRate } = jambonz;
  if (returns === 'none') return null;
  const rate = returns === 'streaming' ? (returnSampleRate ?? sampleRate) : legSampleRate;
  const samples = audioAt(rate);
  if (samples === undefined) return null;
  return returns === 'streaming' ? streamed(samples, rate) : [clip(samples, rate)];
};

function streamed(samples: Int16Array, rate: number): PlayMessage[] {
  const each = (rate * messageMs) / 1000;
  return Array.from({ length: Math.ceil(samples.length / each) }, (_none, index) => {
    const message = new Int16Array(each);
    message.set(samples.subarray(index * each, (index + 1) * each));
    return { data: Buffer.from(bytesOf(message)), isBinary: true };
  });
}

/** Queued, because otherwise it would end what is being played. */
function clip(samples: Int16Array, sampleRate: number): PlayMessage {
  const text = jambonzPlayAudio({
    audioContentType: 'raw',
    audioContent: bytesOf(samples),
    sampleRate,
    id: ownClipId,
    queuePlay: true,
  });
  return { data: Buffer.from(text), isBinary: false };
}
