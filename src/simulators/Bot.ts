import { EventEmitter } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import { BotCall } from './BotCall.js';
import { BotVoice, type VoiceOptions } from './BotVoice.js';

export interface BotOptions extends VoiceOptions {
  /** `auto`, the default: jambonz when the path names it or a jambonz sub-protocol is offered, else Twilio. */
  readonly provider?: 'twilio' | 'jambonz' | 'auto';
  /** Sends every frame back as it came. */
  readonly echo?: boolean;
  /** What it says after each start message, at the given rate in Hz. */
  readonly say?: (sampleRate: number) => Int16Array | Promise<Int16Array>;
  /** How audio goes back to jambonz. Default streaming. */
  readonly returns?: 'streaming' | 'playAudio' | 'none';
  /** Rate of audio sent to jambonz, Hz. Default: the stream's own. */
  readonly returnSampleRate?: number;
  /** Called when a call's start message has arrived; whatever a test wants to do then. */
  readonly onStart?: (call: BotCall) => void;
  /** Answers the upgrade with this status instead of accepting it. */
  readonly refuseWith?: number;
}

export interface BotEvents {
  /** A socket was accepted; nothing has arrived on it yet. */
  call: [BotCall];
}

/** The bot takes messages up to 16 MiB, more than any provider sends. */
const maxPayload = 16 * 1024 * 1024;

/** A small voice bot that speaks both dialects: echoes, says something in bursts, or does what its `onStart` says. */
export class Bot extends EventEmitter<BotEvents> {
  /** Every socket since the start, in order. */
  readonly calls: BotCall[] = [];
  readonly #options: BotOptions;
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  readonly #speech = new Map<number, Promise<Int16Array>>();

  constructor(options: BotOptions = {}) {
    super();
    this.#options = options;
    this.#http = createServer((_request, response) => response.writeHead(426).end());
    this.#sockets = new WebSocketServer({
      noServer: true,
      maxPayload,
      perMessageDeflate: false,
      handleProtocols: (offered) => offered.values().next().value ?? false,
    });
    this.#http.on('upgrade', (request: IncomingMessage, socket, head) => {
      if (options.refuseWith !== undefined) {
        socket.end(
          `HTTP/1.1 ${options.refuseWith} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
        );
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (accepted) => this.#accept(accepted, request));
    });
  }

  /** @param port - 0: any free one. @returns the port and a URL without a path */
  async listen(port = 0, host = '127.0.0.1'): Promise<{ port: number; url: string }> {
    await new Promise<void>((resolve, reject) => {
      this.#http.once('error', reject);
      this.#http.listen(port, host, resolve);
    });
    const bound = (this.#http.address() as AddressInfo).port;
    return { port: bound, url: `ws://${host}:${bound}` };
  }

  /** Ends all calls and stops listening. */
  async close(): Promise<void> {
    for (const call of this.calls) call.terminate();
    await new Promise<void>((resolve) => {
      this.#http.close(() => resolve());
      this.#http.closeAllConnections();
    });
  }

  /** The n-th socket, now or once it is there. */
  async call(index = 0): Promise<BotCall> {
    for (;;) {
      const call = this.calls[index];
      if (call !== undefined) return call;
      await new Promise((resolve) => this.once('call', resolve));
    }
  }

  #accept(socket: WebSocket, request: IncomingMessage): void {
    const { returns = 'streaming', returnSampleRate = null } = this.#options;
    const url = request.url ?? '/';
    const provider = this.#providerOf(url, socket.protocol);
    const call = new BotCall(socket, { provider, url, headers: request.headers, returns, returnSampleRate });
    call.once('start', () => this.#started(call));
    if (this.#options.echo === true) call.on('audio', ({ payload }) => call.sendAudio(payload));
    this.calls.push(call);
    this.emit('call', call);
  }

  #providerOf(url: string, protocol: string): 'twilio' | 'jambonz' {
    const { provider = 'auto' } = this.#options;
    if (provider !== 'auto') return provider;
    return url.includes('jambonz') || protocol !== '' ? 'jambonz' : 'twilio';
  }

  #started(call: BotCall): void {
    this.#options.onStart?.(call);
    const { say } = this.#options;
    if (say === undefined) return;
    const rate = call.speakRate;
    const speech = this.#speech.get(rate) ?? Promise.resolve(say(rate));
    this.#speech.set(rate, speech);
    void speech.then((pcm) => {
      if (call.closed === null) new BotVoice(call, pcm, this.#options);
    });
  }
}
