import { kernels } from '../../../src/audio/kernels.js';
import { bytesOf, samplesOf } from '../../../src/audio/pcm.js';
import { jambonzDtmf, jambonzStart } from '../../../src/providers/jambonz/messages.js';
import {
  twilioConnected,
  twilioDtmf,
  twilioMedia,
  twilioStart,
  twilioStop,
} from '../../../src/providers/twilio/messages.js';

const digitMs = 100;

/** What a provider sends for a call, and what it understands of what comes back. */
export interface PhoneWire {
  readonly path: string;
  /** Sub-protocols that are offered. */
  readonly protocols: readonly string[];
  /** Of both directions, Hz. */
  readonly rate: number;
  start(): readonly string[];
  /** @param samples - a frame, mono. @param timestampMs - where it lies in the call */
  audio(samples: Int16Array, timestampMs: number): string | Uint8Array;
  press(digit: string): string;
  /** What is said before the socket is closed. */
  stop(): readonly string[];
  /** @returns samples to be played, `clear` when what waits isn't to be; null for anything else */
  read(data: Buffer, isBinary: boolean): Int16Array | 'clear' | null;
}

export function twilioWire(accountSid: string, callSid: string): PhoneWire {
  const streamSid = `MZ${callSid}`;
  const ids = { accountSid, callSid, streamSid };
  let [sequence, chunk] = [1, 1];
  return {
    path: '/twilio',
    protocols: [],
    rate: 8000,
    start: () => [twilioConnected(), twilioStart({ ...ids, sequenceNumber: sequence++ })],
    audio: (samples, timestamp) => {
      const payload = new Uint8Array(samples.length);
      kernels.encodeMulaw(samples, payload);
      return twilioMedia({ streamSid, sequenceNumber: sequence++, chunk: chunk++, timestamp, payload });
    },
    press: (digit) => twilioDtmf({ streamSid, sequenceNumber: sequence++, digit }),
    stop: () => [twilioStop({ ...ids, sequenceNumber: sequence++ })],
    read: (data) => {
      const { event, media } = JSON.parse(data.toString()) as {
        readonly event: string;
        readonly media?: { readonly payload: string };
      };
      if (event === 'clear') return 'clear';
      if (event !== 'media' || media === undefined) return null;
      const bytes = Buffer.from(media.payload, 'base64');
      const samples = new Int16Array(bytes.length);
      kernels.decodeMulaw(bytes, samples);
      return samples;
    },
  };
}

/** A jambonz that streams audio both ways. */
export function jambonzWire(accountSid: string, callSid: string, sampleRate: number): PhoneWire {
  return {
    path: '/jambonz',
    protocols: ['audio.drachtio.org'],
    rate: sampleRate,
    start: () => [jambonzStart({ sampleRate, mixType: 'mono', callSid, accountSid })],
    audio: (samples) => bytesOf(samples),
    press: (digit) => jambonzDtmf(digit, digitMs),
    // It closes its socket, and that is all.
    stop: () => [],
    read: (data, isBinary) => {
      if (isBinary) return samplesOf(data);
      return (JSON.parse(data.toString()) as { type?: string }).type === 'killAudio' ? 'clear' : null;
    },
  };
}
