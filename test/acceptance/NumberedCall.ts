import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { jambonzStart } from '../../src/providers/jambonz/messages.js';

export interface NumberedCallOptions {
  /** Of the route. */
  readonly url: string;
  readonly accountSid: string;
  readonly callSid: string;
  /** Makes its samples other ones than those of every other call. */
  readonly seed: number;
  readonly sampleRate: number;
  readonly seconds: number;
  /** How many times faster than real time it speaks. */
  readonly speed: number;
}

/** Audio per message, ms. jambonz sends up to two seconds in one when a network has stalled. */
const messageMs = 500;
/** What may wait in the caller's own socket, bytes. */
const mostWaiting = 2 ** 20;

/**
 * A jambonz stream in stereo whose every sample says by its value where it lies: audio without a clock is placed by counting, so
 * it may come faster than real time. Each message is followed by a ping: its pong says that the daemon has taken in what came
 * before.
 */
export class NumberedCall {
  readonly options: NumberedCallOptions;
  /** Samples per channel that were handed to the socket. */
  sent = 0;
  /** The caller's own close was answered: the call ended as it was meant to. */
  ended = false;
  /** Samples that the daemon had taken in, and when that was known, ms of `performance.now()`. */
  readonly #acknowledged: { readonly samples: number; readonly atMs: number }[] = [];
  #socket: WebSocket | null = null;
  #hasSaidEnough = false;

  constructor(options: NumberedCallOptions) {
    this.options = options;
  }

  /** Whether the daemon had accepted the stream. */
  get accepted(): boolean {
    return this.#acknowledged.length > 0;
  }

  /** What the daemon had taken in and when that was known, oldest first; times on the clock of `performance.now()`. */
  get acknowledged(): readonly { readonly samples: number; readonly atMs: number }[] {
    return this.#acknowledged;
  }

  /** What the daemon had taken in at a moment, samples per channel. */
  acknowledgedAt(atMs: number): number {
    return this.#acknowledged.reduce((most, each) => (each.atMs <= atMs ? each.samples : most), 0);
  }

  /** Speaks until it has said everything or the daemon is gone; never rejects. */
  async speak(): Promise<void> {
    const { url, sampleRate, seconds, speed, ...rest } = this.options;
    const socket = new WebSocket(url, 'audio.drachtio.org', { perMessageDeflate: false });
    this.#socket = socket;
    socket.on('error', () => undefined);
    // A connection that fails closes, too.
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    await Promise.race([new Promise((resolve) => socket.once('open', resolve)), closed]);
    if (!this.#isOpen()) return;
    socket.on('pong', (data: Buffer) => {
      this.#acknowledged.push({ samples: Number(data.toString()), atMs: performance.now() });
    });
    const { accountSid, callSid } = rest;
    socket.send(jambonzStart({ sampleRate, mixType: 'stereo', callSid, accountSid }));
    socket.ping('0');
    const total = sampleRate * seconds;
    const each = (sampleRate * messageMs) / 1000;
    const beganMs = performance.now();
    while (this.sent < total && !this.#hasSaidEnough && this.#isOpen()) {
      const samples = Math.min(each, total - this.sent);
      socket.send(stereo(this.options.seed, this.sent, samples));
      this.sent += samples;
      socket.ping(String(this.sent));
      const dueMs = beganMs + (this.sent * 1000) / sampleRate / speed;
      do await sleep(Math.max(1, dueMs - performance.now()));
      while (this.#isOpen() && socket.bufferedAmount > mostWaiting);
    }
    if (this.sent < total && !(this.#hasSaidEnough && this.#isOpen())) return;
    socket.once('close', (code) => (this.ended = code === 1000));
    socket.close(1000);
    await closed;
  }

  /** Ends the call after the next message, whatever it still had to say. */
  hangUp(): void {
    this.#hasSaidEnough = true;
  }

  /** Breaks the connection, as a provider that dies would. */
  drop(): void {
    this.#socket?.terminate();
  }

  #isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }
}

/** The value of a sample: odd and so never zero, and hardly ever the same in two places or calls. */
function valueAt(seed: number, channel: number, position: number): number {
  let mixed = Math.imul(position + 1, 0x9e37_79b1) ^ Math.imul(seed * 2 + channel + 1, 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b_3c6d);
  return (((mixed >>> 16) << 16) >> 16) | 1;
}

function stereo(seed: number, from: number, samples: number): Buffer {
  const pcm = new Int16Array(samples * 2);
  for (let at = 0; at < samples; at += 1) {
    pcm[at * 2] = valueAt(seed, 0, from + at);
    pcm[at * 2 + 1] = valueAt(seed, 1, from + at);
  }
  return Buffer.from(pcm.buffer);
}

/** What of a call lies in a recorded channel. */
export interface NumberedStretch {
  /** Recorded before the call's first sample, samples. */
  readonly before: number;
  /** From the call's first sample on, without a hole. */
  readonly samples: number;
  /** What comes behind isn't silence, or nothing of the call was found: what is there. */
  readonly problem: string | null;
}

/** Finds a call's samples in interleaved stereo. @param channel - 0 the left one */
export function numberedIn(pcm: Int16Array, seed: number, channel: number): NumberedStretch {
  const total = pcm.length / 2;
  let before = 0;
  while (before < total && pcm[before * 2 + channel] === 0) before += 1;
  let samples = 0;
  while (
    before + samples < total &&
    pcm[(before + samples) * 2 + channel] === valueAt(seed, channel, samples)
  )
    samples += 1;
  let behind = before + samples;
  while (behind < total && pcm[behind * 2 + channel] === 0) behind += 1;
  const problem =
    behind === total
      ? null
      : `sample ${behind} of channel ${channel} is ${pcm[behind * 2 + channel]} after ${samples} of the call's`;
  return { before, samples, problem };
}
