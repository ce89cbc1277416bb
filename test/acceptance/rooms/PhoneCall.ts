import { once } from 'node:events';
import WebSocket from 'ws';
import { kernels } from '../../../src/audio/kernels.js';
import {
  twilioConnected,
  twilioDtmf,
  twilioMedia,
  twilioStart,
  twilioStop,
} from '../../../src/providers/twilio/messages.js';
import { Onsets } from './Onsets.js';

const rate = 8000;
const frameMs = 20;
const frameSamples = (rate * frameMs) / 1000;

/** What the phone was played: mu-law decoded, and when its first sample was heard, on CLOCK_MONOTONIC, ms. */
interface Played {
  readonly samples: Int16Array;
  readonly fromMs: number;
}

/**
 * A phone call as Twilio would bring it, frame by frame in real time, that plays what it gets one after another and notes when. It says
 * nothing but what it is told to.
 */
export class PhoneCall {
  readonly callSid: string;
  readonly played: Played[] = [];
  /** CLOCK_MONOTONIC at which the first sample of each sound was sent, ms. */
  readonly spokeMs: number[] = [];
  clears = 0;
  closed: number | null = null;
  readonly #socket: WebSocket;
  readonly #ids: { readonly accountSid: string; readonly callSid: string; readonly streamSid: string };
  readonly #speech: Int16Array[] = [];
  #sequence = 1;
  #frames = 0;
  #timer: NodeJS.Timeout | undefined;
  #startMs = 0;
  #endMs = -Infinity;
  #wasSpeaking = false;

  private constructor(socket: WebSocket, accountSid: string, callSid: string) {
    this.#socket = socket;
    this.callSid = callSid;
    this.#ids = { accountSid, callSid, streamSid: `MZ${callSid}` };
    socket.on('message', (data: Buffer) => this.#receive(JSON.parse(data.toString()) as Message));
    socket.on('close', (code) => {
      this.closed = code;
      clearInterval(this.#timer);
    });
  }

  static async dial(port: number, accountSid: string, callSid: string): Promise<PhoneCall> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/twilio`);
    await once(socket, 'open');
    const call = new PhoneCall(socket, accountSid, callSid);
    socket.send(twilioConnected());
    socket.send(twilioStart({ ...call.#ids, sequenceNumber: call.#sequence++ }));
    call.#begin();
    return call;
  }

  /** Says a tone, from the next frame on. */
  speak(ms: number, hz = 440): void {
    const samples = Int16Array.from({ length: (ms * rate) / 1000 }, (_none, i) =>
      Math.round(12_000 * Math.sin((2 * Math.PI * hz * i) / rate)),
    );
    for (let at = 0; at < samples.length; at += frameSamples)
      this.#speech.push(samples.slice(at, at + frameSamples));
  }

  press(digit: string): void {
    this.#socket.send(
      twilioDtmf({ streamSid: this.#ids.streamSid, sequenceNumber: this.#sequence++, digit }),
    );
  }

  hangUp(): void {
    clearInterval(this.#timer);
    this.#socket.send(twilioStop({ ...this.#ids, sequenceNumber: this.#sequence++ }));
    this.#socket.close(1000);
  }

  /** When each sound that was heard began, on CLOCK_MONOTONIC, ms. */
  get heardMs(): number[] {
    const onsets = new Onsets(rate);
    let endMs = -Infinity;
    return this.played.flatMap(({ samples, fromMs }) => {
      const gap = Number.isFinite(endMs) ? Math.max(0, Math.round(((fromMs - endMs) * rate) / 1000)) : 0;
      onsets.hear(new Int16Array(gap));
      endMs = fromMs + (samples.length * 1000) / rate;
      const offset = onsets.hear(samples);
      return offset === null ? [] : [fromMs + (offset * 1000) / rate];
    });
  }

  /** When the last sound that was heard ended, on CLOCK_MONOTONIC, ms. */
  get silentSinceMs(): number {
    const last = this.played.findLast(({ samples }) => kernels.peak(samples) > 1500);
    return last === undefined ? -Infinity : last.fromMs + (last.samples.length * 1000) / rate;
  }

  #begin(): void {
    this.#startMs = performance.now();
    this.#timer = setInterval(() => {
      while (this.#startMs + this.#frames * frameMs <= performance.now()) this.#frame();
    }, 4);
  }

  #frame(): void {
    const samples = this.#speech.shift() ?? new Int16Array(frameSamples);
    const isSpeaking = kernels.peak(samples) > 0;
    if (isSpeaking && !this.#wasSpeaking) this.spokeMs.push(nowMs());
    this.#wasSpeaking = isSpeaking;
    const payload = new Uint8Array(frameSamples);
    kernels.encodeMulaw(samples, payload);
    const { streamSid } = this.#ids;
    const timestamp = this.#frames * frameMs;
    const chunk = ++this.#frames;
    this.#socket.send(
      twilioMedia({ streamSid, sequenceNumber: this.#sequence++, chunk, timestamp, payload }),
    );
  }

  #receive({ event, media }: Message): void {
    if (event === 'clear') this.#clear();
    if (event !== 'media' || media === undefined) return;
    const bytes = Buffer.from(media.payload, 'base64');
    const samples = new Int16Array(bytes.length);
    kernels.decodeMulaw(bytes, samples);
    const fromMs = Math.max(nowMs(), this.#endMs);
    this.#endMs = fromMs + (samples.length * 1000) / rate;
    this.played.push({ samples, fromMs });
  }

  /** What hasn't been played yet never will be. */
  #clear(): void {
    this.clears++;
    const atMs = nowMs();
    while ((this.played.at(-1)?.fromMs ?? -Infinity) > atMs) this.played.pop();
    this.#endMs = atMs;
  }
}

interface Message {
  readonly event: string;
  readonly media?: { readonly payload: string };
}

function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
