import { randomFrom } from '../../test/acceptance/randomFrom.js';

/** A frame: 20 ms of mu-law at 8 kHz. */
export const frameSamples = 160;
/** Six bits a byte: the frame's number, then the time at which it was sent, µs. */
const sequenceBytes = 6;
const stampBytes = 9;
const headBytes = sequenceBytes + stampBytes;
const headChars = (headBytes / 3) * 4;
const base64Chars = 216;

const alphabet = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const valueOf = new Uint8Array(256);
alphabet.forEach((code, value) => (valueOf[code] = value));
const head = new Uint8Array(headBytes);

/**
 * The frames of one direction of one call. Every byte has six bits of meaning below the bit 0x80, so none decodes to silence and each
 * survives mu-law both ways: what arrives, and what was recorded, says by itself which frame of which call it is.
 */
export class NumberedFrame {
  /** Bytes behind the number and the time: the same in every frame of this direction of this call. */
  readonly pattern: Buffer;
  /** The payload in base64; the head is written over for every frame. */
  readonly #text: Buffer;
  readonly #tail: Buffer;

  constructor(callSid: string, direction: 'up' | 'down') {
    const random = randomFrom(Number.parseInt(callSid.slice(-7), 16) * 2 + (direction === 'up' ? 0 : 1));
    this.pattern = Buffer.from(
      Uint8Array.from({ length: frameSamples - headBytes }, () => 0x80 | Math.floor(random() * 64)),
    );
    this.#text = Buffer.from(Buffer.concat([Buffer.alloc(headBytes, 0x80), this.pattern]).toString('base64'));
    this.#tail = this.#text.subarray(headChars);
  }

  get base64(): string {
    return this.#text.toString();
  }

  /** Writes number and time into a message at the place of its payload. */
  write(message: Buffer, at: number, sequence: number, us: number): void {
    digits(sequence, 0, sequenceBytes);
    digits(us, sequenceBytes, stampBytes);
    for (let from = 0, to = at; from < headBytes; from += 3, to += 4) {
      const [a = 0, b = 0, c = 0] = [head[from], head[from + 1], head[from + 2]];
      message[to] = alphabet[a >> 2] ?? 0;
      message[to + 1] = alphabet[((a & 3) << 4) | (b >> 4)] ?? 0;
      message[to + 2] = alphabet[((b & 15) << 2) | (c >> 6)] ?? 0;
      message[to + 3] = alphabet[c & 63] ?? 0;
    }
  }

  /** @returns the frame's number, or -1 when it isn't one of this direction of this call */
  sequenceIn(message: Buffer, at: number): number {
    if (message.compare(this.#tail, 0, this.#tail.length, at + headChars, at + base64Chars) !== 0) return -1;
    for (let from = at, to = 0; to < headBytes; from += 4, to += 3) {
      const [a, b] = [value(message, from), value(message, from + 1)];
      const [c, d] = [value(message, from + 2), value(message, from + 3)];
      head[to] = (a << 2) | (b >> 4);
      head[to + 1] = (b << 4) | (c >> 2);
      head[to + 2] = (c << 6) | d;
    }
    return number(head, 0, sequenceBytes);
  }

  /** The time in the frame that {@link sequenceIn} read last, µs. */
  get stampUs(): number {
    return number(head, sequenceBytes, stampBytes);
  }

  /** The number of a frame among recorded samples, as mu-law; -1: it isn't one of this direction of this call, or not whole. */
  sequenceOf(mulaw: Buffer, at: number): number {
    if (at + frameSamples > mulaw.length) return -1;
    if (mulaw.compare(this.pattern, 0, this.pattern.length, at + headBytes, at + frameSamples) !== 0)
      return -1;
    return number(mulaw, at, sequenceBytes);
  }
}

function value(message: Buffer, at: number): number {
  return valueOf[message[at] ?? 0] ?? 0;
}

function digits(number: number, from: number, count: number): void {
  let rest = number;
  for (let at = from + count - 1; at >= from; at -= 1) {
    head[at] = 0x80 | (rest % 64);
    rest = Math.floor(rest / 64);
  }
}

function number(bytes: Uint8Array, from: number, count: number): number {
  let sum = 0;
  for (let at = from; at < from + count; at += 1) sum = sum * 64 + ((bytes[at] ?? 0) & 63);
  return sum;
}
