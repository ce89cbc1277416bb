import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';

const [before, after] = ['"payload":"', '"'];

/** A bot that costs as little as possible: it says what it hears, in both dialects, and keeps nothing. */
export class LeanBot {
  readonly #server: WebSocketServer;

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on('connection', (socket, request) => {
      if (request.url?.startsWith('/jambonz') === true) echoSamples(socket);
      else echoMedia(socket);
    });
  }

  static async listen(): Promise<LeanBot> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
    await once(server, 'listening');
    return new LeanBot(server);
  }

  /** Without a path: `/twilio` and `/jambonz` are answered. */
  get origin(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }
}

function echoSamples(socket: WebSocket): void {
  socket.on('error', ignore);
  socket.on('message', (data: Buffer, isBinary) => {
    if (isBinary) socket.send(data);
  });
}

function echoMedia(socket: WebSocket): void {
  let streamSid = '';
  socket.on('error', ignore);
  socket.on('message', (data: Buffer) => {
    const text = data.toString('latin1');
    const at = text.indexOf(before);
    if (at < 0) {
      streamSid ||= /"streamSid":"(\w+)"/.exec(text)?.[1] ?? '';
      return;
    }
    const payload = text.slice(at + before.length, text.indexOf(after, at + before.length));
    socket.send(`{"event":"media","streamSid":"${streamSid}","media":{"payload":"${payload}"}}`);
  });
}

/** That a socket broke, its call's end says too. */
function ignore(): void {
  // Nothing is left to do.
}
