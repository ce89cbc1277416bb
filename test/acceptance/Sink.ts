import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

/** A bot that listens and says nothing. */
export class Sink {
  readonly #server: WebSocketServer;

  private constructor(server: WebSocketServer) {
    this.#server = server;
  }

  static async open(): Promise<Sink> {
    const options = { host: '127.0.0.1', port: 0, perMessageDeflate: false, maxPayload: 2 ** 24 };
    const server = new WebSocketServer(options);
    // A socket without a listener for its messages would still read them; what it reads is dropped.
    server.on('connection', (socket) => socket.on('error', () => undefined));
    await once(server, 'listening');
    return new Sink(server);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
