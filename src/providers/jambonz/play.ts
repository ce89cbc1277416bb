import { bytesOf } from '../../audio/pcm.js';
import { ownClipId, type Dialect, type PlayMessage } from '../Dialect.js';
import { noWarnings } from '../Payload.js';
import { jambonzPlayAudio } from './messages.js';

/** Audio per binary message, ms: any will do. */
const messageMs = 1000;
/** The last one is filled up with silence: the client plays nothing of less than 160 ms until more comes. */
const wholeMs = 200;

/** Binary audio or a clip, whichever the application sends back itself. */
export const playOnJambonz: Dialect['play'] = ({ sampleRate, jambonz }, audioAs) => {
  const { returns, returnSampleRate, legSampleRate } = jambonz;
  if (returns === 'none') return null;
  const messages =
    returns === 'streaming'
      ? audioAs(returnSampleRate ?? sampleRate, streamed)
      : audioAs(legSampleRate, clip);
  return messages ?? null;
};

function streamed(samples: Int16Array, rate: number): readonly PlayMessage[] {
  const whole = (rate * wholeMs) / 1000;
  const filled = new Int16Array(Math.ceil(samples.length / whole) * whole);
  filled.set(samples);
  const bytes = Buffer.from(filled.buffer);
  const each = (2 * rate * messageMs) / 1000;
  return Array.from({ length: Math.ceil(bytes.length / each) }, (_none, index) => {
    const data = bytes.subarray(index * each, (index + 1) * each);
    return {
      data,
      isBinary: true,
      event: { kind: 'audio', payload: data, streamId: null, warnings: noWarnings },
    };
  });
}

/** Queued, because otherwise it would end what is being played. */
function clip(samples: Int16Array, sampleRate: number): readonly PlayMessage[] {
  const payload = bytesOf(samples);
  const id = ownClipId;
  const text = jambonzPlayAudio({
    audioContentType: 'raw',
    audioContent: payload,
    sampleRate,
    id,
    queuePlay: true,
  });
  const event = { kind: 'clip', id, queued: true, sampleRate, payload, warnings: noWarnings } as const;
  return [{ data: Buffer.from(text), isBinary: false, event }];
}
