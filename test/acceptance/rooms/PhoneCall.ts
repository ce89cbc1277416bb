import { once } from 'node:events';
import WebSocket from 'ws';
import { kernels } from '../../../src/audio/kernels.js';
import { Onsets } from './Onsets.js';
import type { PhoneWire } from './PhoneWire.js';

const frameMs = 20;
/** Somebody is heard, peak. */
const loud = 1500;

/** What the phone was played, and when its first sample was heard, on CLOCK_MONOTONIC, ms. */
interface Played {
  readonly samples: Int16Array;
  readonly fromMs: number;
}

/**
 * A phone call as its provider would bring it, frame by frame in real time, that plays what it gets one after another and notes when. It
 * says nothing but what it is told to.
 */
export class PhoneCall {
  readonly played: Played[] = [];
  /** CLOCK_MONOTONIC at which the first sample of each sound was sent, ms. */
  readonly spokeMs: number[] = [];
  /** Times that what waited was not to be played any more. */
  clears = 0;
  closed: number | null = null;
  readonly #socket: WebSocket;
  readonly #wire: PhoneWire;
  readonly #frameSamples: number;
  readonly #speech: Int16Array[] = [];
  #frames = 0;
  #timer: NodeJS.Timeout | undefined;
  #startMs = 0;
  #endMs = -Infinity;
  #wasSpeaking = false;

  private constructor(socket: WebSocket, wire: PhoneWire) {
    this.#socket = socket;
    this.#wire = wire;
    this.#frameSamples = (wire.rate * frameMs) / 1000;
    socket.on('message', (data: Buffer, isBinary) => this.#receive(data, isBinary));
    socket.on('close', (code) => {
      this.closed = code;
      clearInterval(this.#timer);
    });
  }

  /** @param port - of the daemon, for media */
  static async dial(port: number, wire: PhoneWire): Promise<PhoneCall> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${wire.path}`, [...wire.protocols]);
    await once(socket, 'open');
    const call = new PhoneCall(socket, wire);
    for (const message of wire.start()) socket.send(message);
    call.#begin();
    return call;
  }

  /** Says a tone, from the next frame on. */
  speak(ms: number, hz = 440): void {
    const { rate } = this.#wire;
    const samples = Int16Array.from({ length: (ms * rate) / 1000 }, (_none, i) =>
      Math.round(12_000 * Math.sin((2 * Math.PI * hz * i) / rate)),
    );
    for (let at = 0; at < samples.length; at += this.#frameSamples)
      this.#speech.push(samples.slice(at, at + this.#frameSamples));
  }

  press(digit: string): void {
    this.#socket.send(this.#wire.press(digit));
  }

  hangUp(): void {
    clearInterval(this.#timer);
    for (const message of this.#wire.stop()) this.#socket.send(message);
    this.#socket.close(1000);
  }

  /** When each sound that was heard began, on CLOCK_MONOTONIC, ms. */
  get heardMs(): number[] {
    const { rate } = this.#wire;
    const onsets = new Onsets(rate);
    let endMs = -Infinity;
    return this.played.flatMap(({ samples, fromMs }) => {
      const gap = Number.isFinite(endMs) ? Math.max(0, Math.round(((fromMs - endMs) * rate) / 1000)) : 0;
      onsets.hear(new Int16Array(gap));
      endMs = fromMs + this.#msOf(samples);
      const offset = onsets.hear(samples);
      return offset === null ? [] : [fromMs + (offset * 1000) / rate];
    });
  }

  /** When the last sound that was heard ended, on CLOCK_MONOTONIC, ms. */
  get silentSinceMs(): number {
    const last = this.played.findLast(({ samples }) => kernels.peak(samples) > loud);
    return last === undefined ? -Infinity : last.fromMs + this.#msOf(last.samples);
  }

  #msOf(samples: Int16Array): number {
    return (samples.length * 1000) / this.#wire.rate;
  }

  #begin(): void {
    this.#startMs = performance.now();
    this.#timer = setInterval(() => {
      while (this.#startMs + this.#frames * frameMs <= performance.now()) this.#frame();
    }, 4);
  }

  #frame(): void {
    const samples = this.#speech.shift() ?? new Int16Array(this.#frameSamples);
    const isSpeaking = kernels.peak(samples) > 0;
    if (isSpeaking && !this.#wasSpeaking) this.spokeMs.push(nowMs());
    this.#wasSpeaking = isSpeaking;
    this.#socket.send(this.#wire.audio(samples, this.#frames++ * frameMs));
  }

  #receive(data: Buffer, isBinary: boolean): void {
    const heard = this.#wire.read(data, isBinary);
    if (heard === 'clear') this.#clear();
    else if (heard !== null) {
      const fromMs = Math.max(nowMs(), this.#endMs);
      this.#endMs = fromMs + this.#msOf(heard);
      this.played.push({ samples: heard, fromMs });
    }
  }

  /** What hasn't been played yet never will be. */
  #clear(): void {
    this.clears++;
    const atMs = nowMs();
    while ((this.played.at(-1)?.fromMs ?? -Infinity) > atMs) this.played.pop();
    this.#endMs = atMs;
  }
}

function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
