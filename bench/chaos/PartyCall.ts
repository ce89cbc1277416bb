import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import { twilioConnected, twilioStart, twilioStop } from '../../src/providers/twilio/messages.js';
import { twilioId } from '../../src/simulators/TwilioCaller.js';
import { CallerSocket } from './CallerSocket.js';
import { FrameReceiver, type OpenWindow } from './FrameReceiver.js';
import type { LogHistogram } from '../LogHistogram.js';
import { NumberedFrame } from './NumberedFrame.js';
import type { OpenOrder, PartyCallReport, Refusal } from './PartyMessage.js';
import { PreparedMedia } from './PreparedMedia.js';

/** Byte 10 of a message that is `{"event":"me…`: the only one that carries audio. */
const mediaMark = Buffer.from('{"event":"media"');
const frameUs = 20_000;

export interface Instruments {
  readonly window: OpenWindow;
  readonly up: () => LogHistogram;
  readonly down: () => LogHistogram;
}

/** Both ends of a call through the relay: a caller as Twilio would be it, and the bot that the relay dials for it. */
export class PartyCall {
  readonly callSid = twilioId('CA');
  readonly #streamSid = twilioId('MZ');
  readonly #order: OpenOrder;
  readonly #upFrame = new NumberedFrame(this.callSid, 'up');
  readonly #downFrame = new NumberedFrame(this.callSid, 'down');
  readonly #upMessages = new PreparedMedia(this.#upFrame, this.#streamSid, 'caller');
  readonly #downMessages = new PreparedMedia(this.#downFrame, this.#streamSid, 'bot');
  readonly #up: FrameReceiver;
  readonly #down: FrameReceiver;
  readonly #window: OpenWindow | null;
  #caller: CallerSocket | null = null;
  #bot: WebSocket | null = null;
  #upSent = 0;
  #downSent = 0;
  #upDueUs = Infinity;
  #downDueUs = Infinity;
  #botIsSilent = false;
  #isStopped = false;
  #leaving = false;
  #onCallerGone: () => void = () => undefined;
  #cut: string | null = null;

  constructor(order: OpenOrder, { window, up, down }: Instruments) {
    this.#order = order;
    this.#window = order.measured === true ? window : null;
    this.#up = new FrameReceiver(this.#upFrame, this.#window, up);
    this.#down = new FrameReceiver(this.#downFrame, this.#window, down);
  }

  /** @returns null when it was accepted */
  async dial(): Promise<Refusal | null> {
    const { url, accountSid } = this.#order;
    const dialled = await CallerSocket.dial(url, {
      onMessage: (message) => {
        if (message.compare(mediaMark, 0, mediaMark.length, 0, mediaMark.length) === 0)
          this.#down.take(message);
      },
      onClose: (code, reason) => {
        this.#closed('caller', code, reason);
        this.#onCallerGone();
      },
    });
    if (!(dialled instanceof CallerSocket)) return dialled;
    this.#caller = dialled;
    const { callSid } = this;
    const start = { accountSid, callSid, streamSid: this.#streamSid, sequenceNumber: 1 };
    dialled.send(twilioConnected());
    dialled.send(twilioStart(start));
    this.#upDueUs = performance.now() * 1000 + Math.random() * frameUs;
    return null;
  }

  /** The relay has dialled the bot of this call. */
  answered(socket: WebSocket): void {
    this.#bot = socket;
    this.#downDueUs = performance.now() * 1000 + Math.random() * frameUs;
    socket.on('close', (code, reason) => this.#closed('bot', code, reason));
  }

  /** The bot was sent something. */
  heard(data: Buffer): void {
    if (data.compare(mediaMark, 0, mediaMark.length, 0, mediaMark.length) === 0) this.#up.take(data);
  }

  get isCut(): boolean {
    return this.#cut !== null;
  }

  get isUp(): boolean {
    return this.#bot !== null;
  }

  /** Sends what is due. */
  tick(nowUs: number): void {
    while (!this.#isStopped && this.#upDueUs <= nowUs && this.#caller?.isOpen === true) {
      this.#send(this.#caller, this.#upMessages, this.#upSent++);
      this.#upDueUs += frameUs;
    }
    while (!this.#botIsSilent && this.#downDueUs <= nowUs && this.#bot?.readyState === WebSocket.OPEN) {
      this.#send(this.#bot, this.#downMessages, this.#downSent++);
      this.#downDueUs += frameUs;
    }
  }

  /** The bot says nothing more; the caller goes on. */
  silenceBot(): void {
    this.#botIsSilent = true;
  }

  /** Both parties have said something, or can't any more. */
  get hasSpoken(): boolean {
    return (this.#upSent > 0 && this.#downSent > 0) || this.isCut;
  }

  get isHeardByCaller(): boolean {
    return this.#down.received >= this.#downSent || this.isCut;
  }

  get isHeardByBot(): boolean {
    return this.#up.received >= this.#upSent || this.isCut;
  }

  /** The caller says nothing more, and says so; when the bot has heard everything, it closes. */
  async hangUp(patiently: (holds: () => boolean) => Promise<void>): Promise<void> {
    this.#isStopped = true;
    const caller = this.#caller;
    if (caller?.isOpen !== true) return;
    const { callSid } = this;
    const { accountSid } = this.#order;
    const sequenceNumber = this.#upSent + 2;
    caller.send(twilioStop({ accountSid, callSid, streamSid: this.#streamSid, sequenceNumber }));
    await patiently(() => this.isHeardByBot);
    this.#leaving = true;
    const gone = new Promise<void>((resolve) => (this.#onCallerGone = resolve));
    caller.close(1000);
    await gone;
  }

  report(): PartyCallReport {
    return {
      callSid: this.callSid,
      up: this.#up.report(this.#upSent),
      down: this.#down.report(this.#downSent),
      cut: this.#cut,
    };
  }

  #send(socket: CallerSocket | WebSocket, messages: PreparedMedia, sequence: number): void {
    const us = Math.round(performance.now() * 1000);
    const window = this.#window;
    if (window !== null && us >= window.fromUs && us < window.toUs) window.sent += 1;
    const message = messages.at(sequence, us);
    if (socket instanceof CallerSocket) socket.send(message);
    else socket.send(message, { binary: false });
    if (socket.bufferedAmount > 0) messages.renew();
  }

  #closed(end: 'caller' | 'bot', code: number, reason: Buffer): void {
    if (!this.#leaving && !(end === 'bot' && this.#isStopped))
      this.#cut ??= `${end} closed with ${code} ${reason.toString()}`.trim();
  }
}

/** @returns null when it is open */
export async function answerTo(socket: WebSocket): Promise<Refusal | null> {
  return await new Promise((resolve) => {
    socket.once('open', () => resolve(null));
    socket.once('error', (error) => resolve({ status: 0, retryAfter: null, code: error.message }));
    socket.once('unexpected-response', (_request, response: IncomingMessage) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.once('end', () => {
        const { statusCode: status = 0, headers } = response;
        resolve({ status, retryAfter: headers['retry-after'] ?? null, code: codeIn(Buffer.concat(parts)) });
        socket.terminate();
      });
    });
  });
}

function codeIn(body: Buffer): string {
  try {
    return String((JSON.parse(body.toString()) as { code?: unknown }).code);
  } catch {
    return body.toString().slice(0, 80);
  }
}
