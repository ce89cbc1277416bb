import { decodeBase64 } from '../Base64.js';

/**
 * What a relay needs of a media message, found without a JSON parser: nearly all messages are of this kind, and a parser makes an object
 * and a string of each of their fields. It takes only what it fully understands: an object of scalars and one object `media` of
 * scalars, plain ASCII without escapes. Whatever else a message may be, valid or not, is no media message here, and is left to the parser.
 */
export interface MediaText {
  /** A fresh buffer. */
  readonly payload: Buffer;
  /** As written; null where there is none. */
  readonly track: string | null;
  /** ms since stream start; NaN where there is none. */
  readonly timestampMs: number;
  readonly streamId: string | null;
}

/** @param data - of a text message, whole */
export function findMedia(data: Buffer): MediaText | null {
  return reader.read(data);
}

const quote = 0x22;
const backslash = 0x5c;
const noSpan = -1;
const nothing: Buffer = Buffer.alloc(0);
/** A whole number of more digits isn't exact, or isn't taken for a time. */
const mostDigits = 15;
const names = {
  event: Buffer.from('event'),
  media: Buffer.from('media'),
  streamSid: Buffer.from('streamSid'),
  payload: Buffer.from('payload'),
  track: Buffer.from('track'),
  timestamp: Buffer.from('timestamp'),
};
const words = ['true', 'false', 'null'].map((word) => Buffer.from(word));
const inbound = Buffer.from('inbound');

/** Where a value lies in the message; `from` is -1 where there is none. */
interface Span {
  from: number;
  to: number;
}

/** One for all messages, so that reading allocates nothing but what it finds. */
class MediaReader {
  #data = nothing;
  #at = 0;
  #isString = false;
  /** Of the last string or scalar that was read. */
  readonly #value: Span = { from: noSpan, to: noSpan };
  readonly #event: Span = { from: noSpan, to: noSpan };
  readonly #stream: Span = { from: noSpan, to: noSpan };
  readonly #payload: Span = { from: noSpan, to: noSpan };
  readonly #track: Span = { from: noSpan, to: noSpan };
  readonly #timestamp: Span = { from: noSpan, to: noSpan };
  #hasMedia = false;

  read(data: Buffer): MediaText | null {
    this.#begin(data);
    const found = this.#isMedia() ? this.#found() : null;
    // A bot's message may have megabytes, which nobody needs any more.
    this.#data = nothing;
    return found;
  }

  #isMedia(): boolean {
    if (!this.#object(true)) return false;
    this.#skipSpace();
    return this.#at === this.#data.length && this.#hasMedia && this.#is(this.#event, names.media);
  }

  #found(): MediaText | null {
    const payload = decodeBase64(this.#text(this.#payload));
    const timestampMs = this.#number(this.#timestamp);
    if (typeof payload === 'string' || timestampMs === null) return null;
    return { payload, track: this.#trackName(), timestampMs, streamId: this.#text(this.#stream) };
  }

  #begin(data: Buffer): void {
    this.#data = data;
    this.#at = 0;
    this.#hasMedia = false;
    for (const span of [this.#event, this.#stream, this.#payload, this.#track, this.#timestamp])
      span.from = noSpan;
  }

  #object(isOuter: boolean): boolean {
    this.#skipSpace();
    if (!this.#take(0x7b)) return false;
    do {
      this.#skipSpace();
      if (!this.#string()) return false;
      const { from, to } = this.#value;
      this.#skipSpace();
      if (!this.#take(0x3a)) return false;
      this.#skipSpace();
      if (isOuter && this.#spells(from, to, names.media)) {
        if (this.#hasMedia || !this.#object(false)) return false;
        this.#hasMedia = true;
      } else if (!isOuter && this.#spells(from, to, names.payload)) {
        if (!this.#encoded() || !this.#keepText(this.#payload)) return false;
      } else if (!this.#scalar() || !this.#keep(isOuter, from, to)) return false;
      this.#skipSpace();
    } while (this.#take(0x2c));
    return this.#take(0x7d);
  }

  /** False for what isn't written as it should be, or is there twice. */
  #keep(isOuter: boolean, from: number, to: number): boolean {
    if (isOuter) {
      if (this.#spells(from, to, names.event)) return this.#keepText(this.#event);
      return this.#spells(from, to, names.streamSid) ? this.#keepText(this.#stream) : true;
    }
    if (this.#spells(from, to, names.track)) return this.#keepText(this.#track);
    return this.#spells(from, to, names.timestamp) ? this.#keepOnce(this.#timestamp) : true;
  }

  #keepText(span: Span): boolean {
    return this.#isString && this.#keepOnce(span);
  }

  #keepOnce(span: Span): boolean {
    if (span.from !== noSpan) return false;
    span.from = this.#value.from;
    span.to = this.#value.to;
    return true;
  }

  #scalar(): boolean {
    if (this.#data[this.#at] === quote) return this.#string();
    this.#isString = false;
    for (const word of words) {
      if (!this.#spells(this.#at, this.#at + word.length, word)) continue;
      this.#span(this.#at, this.#at + word.length);
      return true;
    }
    return this.#whole();
  }

  /** A whole number from 0; JSON has others, which no media message needs. */
  #whole(): boolean {
    const data = this.#data;
    let to = this.#at;
    for (let byte = data[to] ?? 0; byte >= 0x30 && byte <= 0x39; byte = data[to] ?? 0) to++;
    const digits = to - this.#at;
    if (digits === 0 || (digits > 1 && data[this.#at] === 0x30)) return false;
    this.#span(this.#at, to);
    return true;
  }

  /** Without escapes: what lies between the quotation marks is what it says. */
  #string(): boolean {
    const data = this.#data;
    const from = this.#at + 1;
    if (data[this.#at] !== quote) return false;
    let to = from;
    for (let byte = data[to] ?? 0; byte !== quote; byte = data[++to] ?? 0)
      if (byte < 0x20 || byte >= 0x80 || byte === backslash) return false;
    this.#isString = true;
    this.#value.from = from;
    this.#value.to = to;
    this.#at = to + 1;
    return true;
  }

  /** The longest string, in which anything strange is found when it is decoded. */
  #encoded(): boolean {
    const from = this.#at + 1;
    const to = this.#data[this.#at] === quote ? this.#data.indexOf(quote, from) : -1;
    if (to < 0) return false;
    this.#isString = true;
    this.#span(from, to);
    this.#at = to + 1;
    return true;
  }

  #span(from: number, to: number): void {
    this.#value.from = from;
    this.#value.to = to;
    this.#at = to;
  }

  #trackName(): string | null {
    return this.#is(this.#track, inbound) ? 'inbound' : this.#text(this.#track);
  }

  #text({ from, to }: Span): string | null {
    return from === noSpan ? null : this.#data.toString('latin1', from, to);
  }

  /** Null for what isn't a whole number that is exact, written as one or as a string. */
  #number({ from, to }: Span): number | null {
    if (from === noSpan) return NaN;
    if (from === to || to - from > mostDigits) return null;
    let value = 0;
    for (let at = from; at < to; at++) {
      const digit = (this.#data[at] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) return null;
      value = value * 10 + digit;
    }
    return value;
  }

  #is({ from, to }: Span, name: Buffer): boolean {
    return from !== noSpan && this.#spells(from, to, name);
  }

  #spells(from: number, to: number, name: Buffer): boolean {
    if (to - from !== name.length) return false;
    for (let index = 0; index < name.length; index++)
      if (this.#data[from + index] !== name[index]) return false;
    return true;
  }

  #skipSpace(): void {
    const data = this.#data;
    for (let byte = data[this.#at]; byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);) {
      if (byte === 0x0b || byte === 0x0c) return;
      byte = data[++this.#at];
    }
  }

  #take(expected: number): boolean {
    if (this.#data[this.#at] !== expected) return false;
    this.#at++;
    return true;
  }
}

const reader = new MediaReader();
