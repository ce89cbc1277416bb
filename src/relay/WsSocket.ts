import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { Heartbeats, Pulse } from './Heartbeats.js';
import type { MediaSocket, MediaSocketOwner } from './MediaSocket.js';
import type { ProviderBuffers } from './ProviderBuffers.js';
import type { StalledSockets } from './StalledSockets.js';

/** The reference path: a socket whose frames `ws` reads and writes in this thread. */
export class WsSocket implements MediaSocket {
  readonly #socket: WebSocket;
  readonly #pulse: Pulse;
  #owner: MediaSocketOwner | null = null;

  /** @param socket - open, or being opened */
  constructor(socket: WebSocket, heartbeats: Heartbeats) {
    this.#socket = socket;
    this.#pulse = heartbeats.watch(socket, performance.now());
    socket.on('message', (data, isBinary) => {
      this.#pulse.seenMs = performance.now();
      this.#owner?.message(data as Buffer, isBinary, this.#pulse.seenMs);
    });
    socket.on('error', (error) => this.#owner?.failed(error));
    socket.on('close', (code) => this.#owner?.closed(code, performance.now()));
  }

  listen(owner: MediaSocketOwner): void {
    this.#owner = owner;
  }

  /** @param wire - what it runs on @param limitMs - how long its peer may take nothing */
  watch(stalls: StalledSockets, wire: Socket, limitMs: number): void {
    stalls.watch(wire, limitMs, () => this.#owner?.stalled(this.bufferedAmount));
  }

  /** Somebody else has its connection from now on. */
  leave(heartbeats: Heartbeats): void {
    this.#owner = null;
    heartbeats.forget(this.#socket);
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  send(data: Buffer, isBinary: boolean, onSent?: () => void): void {
    this.#socket.send(data, { binary: isBinary }, onSent);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    if (this.#socket.isPaused) this.#socket.resume();
  }

  close(code: number, reason?: string): void {
    this.#socket.close(code, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  countIn(buffers: ProviderBuffers): void {
    buffers.watch(this.#socket);
  }
}
