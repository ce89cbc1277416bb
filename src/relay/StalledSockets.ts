import type { Socket } from 'node:net';
import { takenBytes } from './takenBytes.js';

/** The longest time between two ticks that counts, ms: while this loop stood still nobody could be written to. */
const longestTickMs = 1500;

interface Watched {
  readonly limitMs: number;
  readonly onStalled: () => void;
  takenBytes: number;
  isWaiting: boolean;
  stalledMs: number;
}

/**
 * Sockets whose peer may stop reading. What waits for such a peer is bounded in bytes where it is sent; here it is bounded in
 * time: a socket that has taken nothing of what waits for it for too long is given up. One that takes it slowly isn't.
 */
export class StalledSockets {
  readonly #watched = new Map<Socket, Watched>();
  #tickedMs: number | null = null;

  get size(): number {
    return this.#watched.size;
  }

  /**
   * @param limitMs - how long nothing of what waits may be taken
   * @param onStalled - called once; the socket is no longer watched then. It must not throw.
   */
  watch(socket: Socket, limitMs: number, onStalled: () => void): void {
    if (socket.destroyed) return;
    this.#watched.set(socket, { limitMs, onStalled, takenBytes: 0, isWaiting: false, stalledMs: 0 });
    socket.once('close', () => this.#watched.delete(socket));
  }

  /** To be called about once a second. */
  tick(nowMs: number): void {
    const sinceMs = Math.min(nowMs - (this.#tickedMs ?? nowMs), longestTickMs);
    this.#tickedMs = nowMs;
    for (const [socket, watched] of this.#watched) {
      if (socket.writableLength === 0) {
        watched.isWaiting = false;
        continue;
      }
      const taken = takenBytes(socket);
      const isStuck = watched.isWaiting && taken === watched.takenBytes;
      watched.isWaiting = true;
      watched.takenBytes = taken;
      watched.stalledMs = isStuck ? watched.stalledMs + sinceMs : 0;
      if (watched.stalledMs < watched.limitMs) continue;
      this.#watched.delete(socket);
      watched.onStalled();
    }
  }
}
