import type { WebSocket } from 'ws';
import { kernels } from '../audio/kernels.js';
import { PcmAlignment } from '../audio/PcmAlignment.js';
import { bytesOf, channelOf, samplesOf } from '../audio/pcm.js';
import { Resampler } from '../audio/Resampler.js';
import type { Dialect, StartEvent } from '../providers/Dialect.js';
import { jambonzKillAudio } from '../providers/jambonz/messages.js';
import { twilioBotClear, twilioBotMedia } from '../providers/twilio/messages.js';
import type { BridgedCallFacts } from './BridgedCallFacts.js';
import type { Phone } from './PhoneVoice.js';
import { roomRates } from './Room.js';

/** A phone that can be talked on. */
export interface Line extends Phone {
  /** Of what the caller says, Hz. */
  readonly callerRate: number;
  /** Of what is said to the phone, Hz. */
  readonly voiceRate: number;
  /** Ends the call. */
  close(code: number): void;
}

/** Who is at the other end of a line. None of these may throw. */
export interface PhoneLineOwner {
  /** The call's start message came; from here on the line can be talked on. */
  started(line: Line): void;
  /** @param samples - mono at the line's rate */
  callerSaid(samples: Int16Array): void;
  callerPressed(digit: string): void;
  /** Its last word. */
  hungUp(): void;
}

/** What may wait in the socket: the daemon reads at once, or is about to be ended. */
const mostWaitingBytes = 256 * 1024;
/** For what goes to a phone whose rate rooms don't give, Hz. */
const otherRate = 48_000;
const handshakeMs = 3000;

/**
 * The phone's side of a bridged call: the relay's socket, on which a bridge is a bot like any other and speaks the dialect of the call.
 * Audio is linear here, one channel, at the rate of the call.
 */
export class PhoneLine implements Line {
  readonly #socket: WebSocket;
  readonly #dialect: Dialect;
  readonly #call: BridgedCallFacts;
  readonly #owner: PhoneLineOwner;
  #start: StartEvent | null = null;
  #resampler: Resampler | null = null;
  #alignment = new PcmAlignment(2);
  #isOver = false;

  constructor(socket: WebSocket, dialect: Dialect, call: BridgedCallFacts, owner: PhoneLineOwner) {
    this.#socket = socket;
    this.#dialect = dialect;
    this.#call = call;
    this.#owner = owner;
    socket.on('message', (data, isBinary) => this.#receive(data as Buffer, isBinary));
    socket.on('error', () => socket.terminate());
    socket.on('close', () => this.#hangUp());
  }

  /** Of what the caller says, Hz; 8000 before the start message. */
  get callerRate(): number {
    return this.#start?.sampleRate ?? 8000;
  }

  /** Of what is said to the phone, Hz. */
  get voiceRate(): number {
    return roomRates.includes(this.#returnRate) ? this.#returnRate : otherRate;
  }

  get isOpen(): boolean {
    return !this.#isOver && this.#start !== null && this.#socket.readyState === this.#socket.OPEN;
  }

  /** @param samples - mono at {@link voiceRate}. @returns false when they are dropped, because what was said before still waits */
  say(samples: Int16Array): boolean {
    if (!this.isOpen || this.#socket.bufferedAmount > mostWaitingBytes) return false;
    const said = this.#resampler?.push(samples) ?? samples;
    if (said.length === 0) return true;
    if (this.#dialect.name === 'jambonz') this.#socket.send(bytesOf(said));
    else {
      const bytes = new Uint8Array(said.length);
      kernels.encodeMulaw(said, bytes);
      this.#socket.send(twilioBotMedia(this.#start?.streamId ?? '', bytes));
    }
    return true;
  }

  clear(): void {
    if (!this.isOpen) return;
    const isTwilio = this.#dialect.name === 'twilio';
    this.#socket.send(isTwilio ? twilioBotClear(this.#start?.streamId ?? '') : jambonzKillAudio());
  }

  /** Ends the call's socket; a peer that doesn't answer is cut off. */
  close(code: number): void {
    this.#isOver = true;
    this.#socket.close(code);
    setTimeout(() => this.#socket.terminate(), handshakeMs).unref();
  }

  get #returnRate(): number {
    return this.#call.returnSampleRate ?? this.callerRate;
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (this.#isOver) return;
    const event = this.#dialect.readProvider(data, isBinary);
    if (event.kind === 'audio') this.#audio(event.payload);
    else if (event.kind === 'dtmf') this.#owner.callerPressed(event.digit);
    else if (event.kind === 'stop') this.#hangUp();
    else if (event.kind === 'start' && this.#start === null) this.#started(event);
  }

  #started(start: StartEvent): void {
    this.#start = start;
    this.#alignment = new PcmAlignment(2 * start.channels);
    const { voiceRate } = this;
    this.#resampler = voiceRate === this.#returnRate ? null : new Resampler(voiceRate, this.#returnRate);
    this.#owner.started(this);
  }

  #audio(payload: Uint8Array): void {
    if (this.#start === null) return;
    if (this.#dialect.capabilities.encoding === 'mulaw') {
      const samples = new Int16Array(payload.length);
      kernels.decodeMulaw(payload, samples);
      this.#owner.callerSaid(samples);
    } else {
      const samples = samplesOf(this.#alignment.push(payload));
      this.#owner.callerSaid(channelOf(samples, 0, this.#start.channels));
    }
  }

  #hangUp(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.hungUp();
  }
}
