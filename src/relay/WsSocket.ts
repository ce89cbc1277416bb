import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { Heartbeats, Pulse } from './Heartbeats.js';
import type { MediaSocket, MediaSocketOwner } from './MediaSocket.js';
import type { ProviderBuffers } from './ProviderBuffers.js';
import type { StalledSockets } from './StalledSockets.js';

/**
 * Up to this length a server's message is copied behind its header, bytes. `ws` writes the two apart, which costs 3.2 µs of a media message of
 * 330 bytes, and 2.5 in one piece; from some 2000 bytes on the copy costs more than it saves.
 */
const mostCopied = 1024;

/** The reference path: a socket whose frames `ws` reads and writes in this thread. */
export class WsSocket implements MediaSocket {
  readonly #socket: WebSocket;
  readonly #pulse: Pulse;
  /** Of a server's socket what it runs on. */
  #wire: Socket | null = null;
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

  /** Writes messages of frames itself, each in one piece. @param wire - what a server's socket, open and without extensions, runs on */
  writeTo(wire: Socket): void {
    this.#wire = wire;
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
    if (this.#wire !== null && data.length <= mostCopied && this.isOpen)
      this.#wire.write(serverFrame(data, isBinary), onSent);
    else this.#socket.send(data, { binary: isBinary }, onSent);
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

/** A short message in one frame, as servers send it: not masked (RFC 6455, section 5.2). */
function serverFrame(data: Buffer, isBinary: boolean): Buffer {
  const { length } = data;
  const headerBytes = length < 126 ? 2 : 4;
  const frame = Buffer.allocUnsafe(headerBytes + length);
  frame[0] = isBinary ? 0x82 : 0x81;
  frame[1] = length < 126 ? length : 126;
  if (headerBytes === 4) frame.writeUInt16BE(length, 2);
  frame.set(data, headerBytes);
  return frame;
}
