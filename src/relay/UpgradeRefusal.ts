import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ErrorCode } from '../config/ReelayError.js';
import { ReelayError } from '../config/ReelayError.js';

/** An upgrade that is answered with an HTTP status instead of a WebSocket. */
export class UpgradeRefusal extends Error {
  readonly status: number;
  readonly reason: ReelayError;

  constructor(status: number, code: ErrorCode, details: { value?: unknown; remedy?: string } = {}) {
    const reason = new ReelayError(code, details);
    super(reason.message);
    this.name = 'UpgradeRefusal';
    this.status = status;
    this.reason = reason;
  }

  /** Writes the answer to the bare socket and closes it; a peer that doesn't close its side is cut off. */
  answer(socket: Duplex): void {
    const body = JSON.stringify({ code: this.reason.code, message: this.reason.message });
    const challenge =
      this.reason.code === 'credentials_invalid' && this.status === 401
        ? ['WWW-Authenticate: Basic realm="reelay"']
        : [];
    const head = [
      `HTTP/1.1 ${this.status} ${STATUS_CODES[this.status] ?? 'Error'}`,
      'Connection: close',
      'Content-Type: application/json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      ...(this.status === 503 ? [`Retry-After: ${this.reason.code === 'overloaded' ? 5 : 1}`] : []),
      ...challenge,
    ];
    socket.once('finish', () => socket.destroy());
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  }
}
