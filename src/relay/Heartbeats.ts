import type { WebSocket } from 'ws';

const pingEveryMs = 10_000;
const silentForMs = 25_000;
/** Pings in one turn of the event loop: calls that began together are pinged together, and their frames come between. */
const pingsInTurn = 8;
/** Time between two ticks beyond which this process is taken to have stood still, ms. */
const pausedMs = 5000;

/** When a socket's peer last showed that it is there, ms of the monotonic clock. Whoever reads its messages keeps it. */
export interface Pulse {
  seenMs: number;
  pingedMs: number;
}

/**
 * Every open WebSocket of the media port and towards the bots. Each is pinged every 10 s; one whose peer has shown no sign
 * of life for 25 s is terminated, because a half-open connection looks alive for hours otherwise (RFC 6455 section 5.5.2).
 */
export class Heartbeats {
  readonly #pulses = new Map<WebSocket, Pulse>();
  #tickedMs: number | null = null;
  #due: WebSocket[] = [];

  get size(): number {
    return this.#pulses.size;
  }

  watch(socket: WebSocket, nowMs: number): Pulse {
    const pulse: Pulse = { seenMs: nowMs, pingedMs: nowMs };
    this.#pulses.set(socket, pulse);
    socket.on('pong', () => (pulse.seenMs = performance.now()));
    socket.once('close', () => this.#pulses.delete(socket));
    return pulse;
  }

  /** Somebody else sees to it from now on. */
  forget(socket: WebSocket): void {
    this.#pulses.delete(socket);
  }

  /** To be called about once a second. */
  tick(nowMs: number): void {
    const sinceMs = nowMs - (this.#tickedMs ?? nowMs);
    this.#tickedMs = nowMs;
    // Whoever was frozen, with a machine that was moved, has heard nobody meanwhile and must not take them all for gone.
    const deafMs = sinceMs > pausedMs ? sinceMs : 0;
    for (const [socket, pulse] of this.#pulses) {
      pulse.seenMs = Math.min(nowMs, pulse.seenMs + deafMs);
      // Nothing is read from a paused socket, not even its pongs, so its silence is our own.
      if (socket.isPaused) pulse.seenMs = nowMs;
      if (nowMs - pulse.seenMs > silentForMs) socket.terminate();
      else if (nowMs - pulse.pingedMs >= pingEveryMs && socket.readyState === socket.OPEN) {
        pulse.pingedMs = nowMs;
        this.#due.push(socket);
      }
    }
    this.#ping();
  }

  readonly #ping = (): void => {
    for (const socket of this.#due.splice(0, pingsInTurn)) {
      if (socket.readyState === socket.OPEN) socket.ping(undefined, undefined, ignore);
    }
    if (this.#due.length > 0) setImmediate(this.#ping);
  };

  terminateAll(): void {
    for (const socket of this.#pulses.keys()) socket.terminate();
  }
}

/** A ping that can't be written means that the socket is closing; its `close` event says so soon enough. */
function ignore(): void {
  // Nothing is left to do.
}
