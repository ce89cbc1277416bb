import { once } from 'node:events';
import { WebSocket } from 'ws';
import {
  twilioBotMedia,
  twilioConnected,
  twilioMedia,
  twilioStart,
  twilioStop,
} from '../../src/providers/twilio/messages.js';
import { twilioId } from '../../src/simulators/TwilioCaller.js';
import { answerTo } from './PartyCall.js';
import type { Flow, OpenOrder, Refusal } from './PartyMessage.js';

/** Audio in one message: 1 s, some 11 kB. */
const payload = new Uint8Array(8000).fill(0x9c);
const everyUs = 10_000;
/** What may wait in the sender's own socket, bytes: beyond, it sends nothing. */
const mostWaiting = 4 * 2 ** 20;

/** A call of which one end sends a hundred times as much as is spoken, so that an end that stops reading is felt soon. */
export class FloodCall {
  readonly callSid = twilioId('CA');
  readonly #streamSid = twilioId('MZ');
  readonly #order: OpenOrder;
  readonly #fromBot: Buffer;
  #caller: WebSocket | null = null;
  #bot: WebSocket | null = null;
  #messages = 0;
  #sent = 0;
  #received = 0;
  #dueUs = 0;
  #leaving = false;
  #cut: string | null = null;

  constructor(order: OpenOrder) {
    this.#order = order;
    this.#fromBot = Buffer.from(twilioBotMedia(this.#streamSid, payload));
  }

  async dial(): Promise<Refusal | null> {
    const { url, accountSid } = this.#order;
    const socket = new WebSocket(url, { perMessageDeflate: false });
    this.#caller = socket;
    const refusal = await answerTo(socket);
    if (refusal !== null) return refusal;
    this.#listen(socket, 'caller');
    socket.send(twilioConnected());
    const start = { accountSid, callSid: this.callSid, streamSid: this.#streamSid, sequenceNumber: 1 };
    socket.send(twilioStart(start));
    this.#dueUs = performance.now() * 1000;
    return null;
  }

  answered(socket: WebSocket): void {
    this.#bot = socket;
    this.#listen(socket, 'bot');
  }

  heard(data: Buffer): void {
    this.#received += data.length;
  }

  get isCut(): boolean {
    return this.#cut !== null;
  }

  get isUp(): boolean {
    return this.#bot !== null;
  }

  tick(nowUs: number): void {
    if (this.#leaving) return;
    const socket = this.#order.flood === 'caller' ? this.#caller : this.#bot;
    while (this.#dueUs <= nowUs) {
      this.#dueUs += everyUs;
      if (socket?.readyState !== WebSocket.OPEN || socket.bufferedAmount > mostWaiting) continue;
      const message = this.#order.flood === 'caller' ? this.#fromCaller() : this.#fromBot;
      socket.send(message, { binary: false });
      this.#sent += message.length;
    }
  }

  /** One end reads nothing more, or again. */
  deafen(end: 'caller' | 'bot', deaf: boolean): void {
    const socket = end === 'caller' ? this.#caller : this.#bot;
    if (deaf) socket?.pause();
    else socket?.resume();
  }

  flow(): Flow {
    return { sent: this.#sent, received: this.#received, cut: this.#cut };
  }

  async hangUp(): Promise<void> {
    this.#leaving = true;
    for (const socket of [this.#caller, this.#bot]) if (socket?.isPaused === true) socket.resume();
    const caller = this.#caller;
    if (caller?.readyState !== WebSocket.OPEN) return;
    const { callSid } = this;
    const { accountSid } = this.#order;
    const sequenceNumber = this.#messages + 2;
    caller.send(twilioStop({ accountSid, callSid, streamSid: this.#streamSid, sequenceNumber }));
    caller.close(1000);
    await once(caller, 'close');
  }

  #listen(socket: WebSocket, end: 'caller' | 'bot'): void {
    socket.on('error', () => undefined);
    socket.on('close', (code, reason) => {
      if (!this.#leaving) this.#cut ??= `${end} closed with ${code} ${reason.toString()}`.trim();
    });
    if (end === 'caller') socket.on('message', (data: Buffer) => (this.#received += data.length));
  }

  #fromCaller(): Buffer {
    const at = this.#messages++;
    const numbers = { sequenceNumber: at + 2, chunk: at + 1, timestamp: at * 1000 };
    return Buffer.from(twilioMedia({ streamSid: this.#streamSid, ...numbers, payload }));
  }
}
