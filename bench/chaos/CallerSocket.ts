import { connect, type Socket } from 'node:net';
import type { Refusal } from './PartyMessage.js';

/** Masking protects proxies from browsers; a mask of zeros is one as well, and costs nothing (RFC 6455, section 5.3). */
const maskBytes = 4;
const fin = 0x80;
const opcode = { text: 1, close: 8, ping: 9, pong: 10 } as const;
const headEnd = Buffer.from('\r\n\r\n');

export interface CallerSocketOptions {
  readonly onMessage: (message: Buffer) => void;
  readonly onClose: (code: number, reason: Buffer) => void;
}

/**
 * A WebSocket as a caller needs it, from its dial to its end: what it costs to be two hundred callers that arrive in one second must not
 * be taken from what they call, which is on the same machine. It reads whole text messages, as a relay passes them on; anything that
 * breaks RFC 6455 ends it with 1002.
 */
export class CallerSocket {
  readonly #socket: Socket;
  readonly #options: CallerSocketOptions;
  #rest: Buffer = Buffer.alloc(0);
  #closing: { code: number; reason: Buffer } | null = null;

  private constructor(socket: Socket, options: CallerSocketOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  /** @returns the refusal when the upgrade isn't answered with 101 */
  static async dial(url: string, options: CallerSocketOptions): Promise<CallerSocket | Refusal> {
    const { host, hostname, port, pathname } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    socket.write(
      `GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: cmVlbGF5IGJ1cnN0IGtleQ==\r\n\r\n',
    );
    return await new Promise((resolve) => {
      let answer = Buffer.alloc(0);
      socket.on('error', (error) => resolve({ status: 0, retryAfter: null, code: error.message }));
      socket.on('close', () => resolve(refusalIn(answer.toString('latin1'))));
      socket.on('data', function read(data) {
        answer = Buffer.concat([answer, data]);
        const end = answer.indexOf(headEnd);
        if (end < 0 || !answer.toString('latin1', 0, 13).startsWith('HTTP/1.1 101 ')) return;
        socket.off('data', read);
        const dialled = new CallerSocket(socket, options);
        resolve(dialled);
        dialled.#listen(answer.subarray(end + headEnd.length));
      });
    });
  }

  get isOpen(): boolean {
    return this.#closing === null && this.#socket.writable;
  }

  /** Bytes that the system hasn't taken. */
  get bufferedAmount(): number {
    return this.#socket.writableLength;
  }

  /** Sends a text message, which must not be changed while {@link bufferedAmount} isn't 0. */
  send(message: Buffer | string): void {
    this.#write(opcode.text, typeof message === 'string' ? Buffer.from(message) : message);
  }

  close(code: number): void {
    if (!this.isOpen) return;
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    this.#closing = { code, reason: Buffer.alloc(0) };
    this.#write(opcode.close, payload);
  }

  #listen(first: Buffer): void {
    this.#socket.on('data', (data) => this.#read(data));
    this.#socket.once('close', () => {
      const { code, reason } = this.#closing ?? { code: 1006, reason: Buffer.alloc(0) };
      this.#options.onClose(code, reason);
    });
    this.#read(first);
  }

  #write(kind: number, payload: Buffer): void {
    const { length } = payload;
    const head = Buffer.alloc((length < 126 ? 2 : 4) + maskBytes);
    head[0] = fin | kind;
    head[1] = 0x80 | Math.min(length, 126);
    if (length >= 126) head.writeUInt16BE(length, 2);
    this.#socket.cork();
    this.#socket.write(head);
    this.#socket.write(payload);
    this.#socket.uncork();
  }

  #read(data: Buffer): void {
    let bytes = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    for (;;) {
      const frame = frameIn(bytes);
      if (frame === null) break;
      this.#take(frame.head, frame.payload);
      bytes = bytes.subarray(frame.bytes);
    }
    this.#rest = bytes;
  }

  #take(head: number, payload: Buffer): void {
    if (head === (fin | opcode.text)) this.#options.onMessage(payload);
    else if (head === (fin | opcode.ping)) this.#write(opcode.pong, payload);
    else if (head === (fin | opcode.close)) {
      const isAnswer = this.#closing !== null;
      this.#closing ??= {
        code: payload.length < 2 ? 1005 : payload.readUInt16BE(),
        reason: payload.subarray(2),
      };
      if (!isAnswer) this.#write(opcode.close, payload.subarray(0, 2));
      this.#socket.end();
    } else if (head !== (fin | opcode.pong)) this.close(1002);
  }
}

/** @returns null while the first frame isn't whole */
function frameIn(bytes: Buffer): { head: number; payload: Buffer; bytes: number } | null {
  const short = (bytes[1] ?? 0) & 0x7f;
  const headBytes = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < headBytes) return null;
  const length =
    short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  if (bytes.length < headBytes + length) return null;
  const payload = bytes.subarray(headBytes, headBytes + length);
  return { head: bytes[0] ?? 0, payload, bytes: headBytes + length };
}

function refusalIn(answer: string): Refusal {
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 0);
  const retryAfter = /\r\nRetry-After: (\d+)/i.exec(answer)?.[1] ?? null;
  const code = /"code":"([a-z_]+)"/.exec(answer)?.[1] ?? 'undefined';
  return { status, retryAfter, code };
}
