import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';
import { jambonzStart } from '../src/providers/jambonz/messages.js';
import { twilioConnected, twilioStart, twilioStop } from '../src/providers/twilio/messages.js';
import { twilioId } from '../src/simulators/TwilioCaller.js';
import { jambonzRate, type LeanVoice } from './LeanVoice.js';

export interface LeanCallOptions {
  /** Of the daemon's media port, without a path. */
  readonly origin: string;
  readonly provider: 'twilio' | 'jambonz';
  readonly accountId: string;
  /** Length of the call in frames of 20 ms. */
  readonly frames: number;
  /** Ends without a stop message and without a close frame. */
  readonly vanishes: boolean;
}

/** What came of a call at its caller's end. */
export interface LeanReport {
  readonly provider: 'twilio' | 'jambonz';
  readonly callId: string;
  readonly accountId: string;
  readonly sent: number;
  /** Frames that the bot's echo brought back. */
  readonly back: number;
  /** Each was the frame that was said at that place. */
  readonly inOrder: boolean;
  readonly vanished: boolean;
  /** The longest that its own frames were late in being sent, because this machine had no time for it, ms. */
  readonly lateMs: number;
  /** How late its first frame was, ms. */
  readonly leadMs: number;
  /** Why its socket broke, or did not open; null when the caller ended it. */
  readonly broken: string | null;
}

/**
 * A caller that costs as little as possible: its frames are prepared, what comes back is compared and forgotten, and nothing is
 * judged as a provider would judge it. Whoever owns it beats the time.
 */
export class LeanCall {
  readonly ended: Promise<LeanReport>;
  readonly #options: LeanCallOptions;
  readonly #voice: LeanVoice;
  readonly #callId: string;
  readonly #socket: WebSocket;
  readonly #streamSid = twilioId('MZ');
  #startMs = Infinity;
  #sent = 0;
  #back = 0;
  #inOrder = true;
  #lateMs = 0;
  #leadMs = 0;
  #isOver = false;
  #broken: string | null = null;

  constructor(options: LeanCallOptions, voice: LeanVoice) {
    const { origin, provider } = options;
    this.#options = options;
    this.#voice = voice;
    this.#callId = provider === 'twilio' ? twilioId('CA') : randomUUID();
    const protocols = provider === 'twilio' ? [] : ['audio.drachtio.org'];
    const socket = new WebSocket(`${origin}/${provider}`, protocols, { perMessageDeflate: false });
    this.#socket = socket;
    socket.on('open', () => this.#start());
    socket.on('message', (data: Buffer) => this.#receive(data));
    socket.on('error', (error) => (this.#broken ??= error.message));
    this.ended = new Promise((resolve) => {
      socket.once('close', (code: number) => {
        if (!this.#isOver) this.#broken ??= `closed with ${code}`;
        this.#isOver = true;
        resolve(this.#report());
      });
    });
  }

  /** Sends what is due; after the last frame it hangs up. */
  beat(nowMs: number): void {
    if (this.#isOver) return;
    const { provider, frames } = this.#options;
    const due = Math.min(frames, Math.floor((nowMs - this.#startMs) / 20));
    if (this.#sent < due) {
      const lateMs = nowMs - this.#startMs - (this.#sent + 1) * 20;
      if (this.#sent === 0) this.#leadMs = lateMs;
      this.#lateMs = Math.max(this.#lateMs, lateMs);
    }
    for (; this.#sent < due; this.#sent++) {
      if (provider === 'jambonz') this.#socket.send(this.#voice.linear(this.#sent));
      else this.#socket.send(this.#media(this.#sent));
    }
    if (this.#sent === frames) this.hangUp();
  }

  hangUp(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { provider, accountId, vanishes } = this.#options;
    if (vanishes || this.#socket.readyState !== WebSocket.OPEN) return this.#socket.terminate();
    const [callSid, accountSid] = [this.#callId, accountId];
    const numbered = { sequenceNumber: this.#sent + 2, streamSid: this.#streamSid };
    if (provider === 'twilio') this.#socket.send(twilioStop({ ...numbered, callSid, accountSid }));
    this.#socket.close(1000);
  }

  #start(): void {
    const { provider, accountId } = this.#options;
    const [callSid, accountSid] = [this.#callId, accountId];
    if (provider === 'jambonz') {
      this.#socket.send(jambonzStart({ sampleRate: jambonzRate, mixType: 'mono', callSid, accountSid }));
    } else {
      const start = { streamSid: this.#streamSid, sequenceNumber: 1, accountSid, callSid };
      this.#socket.send(twilioConnected());
      this.#socket.send(twilioStart({ ...start, tracks: ['inbound'], customParameters: {} }));
    }
    this.#startMs = performance.now();
  }

  #media(frame: number): string {
    return (
      `{"event":"media","sequenceNumber":"${frame + 2}","media":{"track":"inbound","chunk":"${frame + 1}",` +
      `"timestamp":"${frame * 20}","payload":"${this.#voice.mulaw(frame)}"},"streamSid":"${this.#streamSid}"}`
    );
  }

  #receive(data: Buffer): void {
    const frame = this.#back++;
    const { provider } = this.#options;
    const isSame =
      provider === 'jambonz'
        ? data.equals(this.#voice.linear(frame))
        : data.includes(this.#voice.mulaw(frame), 0, 'latin1');
    if (!isSame) this.#inOrder = false;
  }

  #report(): LeanReport {
    const { provider, accountId, vanishes } = this.#options;
    return {
      provider,
      accountId,
      callId: this.#callId,
      sent: this.#sent,
      back: this.#back,
      inOrder: this.#inOrder,
      vanished: vanishes,
      lateMs: this.#lateMs,
      leadMs: this.#leadMs,
      broken: this.#broken,
    };
  }
}
