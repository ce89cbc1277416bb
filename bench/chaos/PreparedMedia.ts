import type { NumberedFrame } from './NumberedFrame.js';

/** A `media` message that is laid out once and then only overwritten where it changes, so that sending makes no garbage. */
export class PreparedMedia {
  readonly #frame: NumberedFrame;
  readonly #streamSid: string;
  readonly #from: 'caller' | 'bot';
  #message = Buffer.alloc(0);
  #payloadAt = 0;
  /** Where the caller's counters lie, and how many digits they had when this was laid out. */
  #numbers: readonly { readonly at: number; readonly digits: number }[] = [];

  constructor(frame: NumberedFrame, streamSid: string, from: 'caller' | 'bot') {
    this.#frame = frame;
    this.#streamSid = streamSid;
    this.#from = from;
    this.renew();
  }

  /** The message with this number and time; good until the next call. */
  at(sequence: number, us: number): Buffer {
    if (this.#from === 'caller') this.#count(sequence);
    this.#frame.write(this.#message, this.#payloadAt, sequence, us);
    return this.#message;
  }

  /** The last message is still waiting to be sent: the next one gets other memory. */
  renew(): void {
    if (this.#from === 'caller') {
      this.#lay(
        this.#numbers.length === 0 ? counters(0) : this.#numbers.map(({ digits }) => '0'.repeat(digits)),
      );
      return;
    }
    const before = `{"event":"media","streamSid":"${this.#streamSid}","media":{"payload":"`;
    this.#payloadAt = before.length;
    this.#message = Buffer.from(`${before}${this.#frame.base64}"}}`);
  }

  #count(sequence: number): void {
    const texts = [sequence + 2, sequence + 1, sequence * 20];
    if (texts.some((number, at) => digitsOf(number) !== this.#numbers[at]?.digits))
      this.#lay(counters(sequence));
    for (const [index, { at, digits }] of this.#numbers.entries()) {
      let rest = texts[index] ?? 0;
      for (let place = at + digits - 1; place >= at; place -= 1) {
        this.#message[place] = 48 + (rest % 10);
        rest = Math.floor(rest / 10);
      }
    }
  }

  #lay([number = '', chunk = '', timestamp = '']: readonly string[]): void {
    const parts = [
      '{"event":"media","sequenceNumber":"',
      number,
      '","media":{"track":"inbound","chunk":"',
      chunk,
      '","timestamp":"',
      timestamp,
      '","payload":"',
    ];
    const startOf = (part: number): number => parts.slice(0, part).join('').length;
    this.#numbers = [1, 3, 5].map((part) => ({ at: startOf(part), digits: parts[part]?.length ?? 0 }));
    this.#payloadAt = startOf(parts.length);
    this.#message = Buffer.from(`${parts.join('')}${this.#frame.base64}"},"streamSid":"${this.#streamSid}"}`);
  }
}

/** Message, chunk and time of a frame, as Twilio counts them: `start` was the first message. */
function counters(sequence: number): string[] {
  return [sequence + 2, sequence + 1, sequence * 20].map(String);
}

function digitsOf(number: number): number {
  let digits = 1;
  for (let rest = number; rest >= 10; rest /= 10) digits += 1;
  return digits;
}
