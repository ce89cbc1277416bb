import {
  Encoding,
  mutedBytes,
  RecordKind,
  Track,
  type CallFacts,
  type StreamFacts,
  type TapRecord,
} from '../../src/tap/TapRecord.js';

/** Writes the tap records of one call, as a media thread would have, with a clock that the test sets. */
export class CallScript {
  readonly records: TapRecord[] = [];
  readonly facts: CallFacts;
  #stream = 0;
  #nowMs = 0;

  constructor(facts: Partial<CallFacts> = {}) {
    this.facts = {
      recordingId: 'rec-1',
      accountId: 'AC1',
      provider: 'twilio',
      callId: 'CA1',
      wallClockMs: Date.UTC(2026, 10, 20, 12),
      sampleRate: 8000,
      channels: 'dual',
      chunkSeconds: 60,
      from: null,
      to: null,
      direction: null,
      parameters: {},
      ...facts,
    };
    this.#add(RecordKind.callStart, json(this.facts), { stream: 0 });
  }

  /** Sets the media thread's clock, ms since the call's start. */
  at(ms: number): this {
    this.#nowMs = ms;
    return this;
  }

  stream(facts: Partial<StreamFacts> = {}): this {
    this.#stream++;
    const all: StreamFacts = {
      streamId: `MZ${this.#stream}`,
      role: 'call',
      wallClockMs: this.facts.wallClockMs + this.#nowMs,
      sampleRate: this.facts.sampleRate,
      placement: 'timestamp',
      tracks: ['caller'],
      playout: 'queue',
      returnSampleRate: this.facts.sampleRate,
      legSampleRate: 8000,
      amendMs: 1500,
      marksTellPlayout: true,
      overrunFingerprint: false,
      ...facts,
    };
    return this.#add(RecordKind.streamStart, json(all));
  }

  /** Audio of 16 bit; Twilio's own encoding loses bits, which would blur what the tests compare. */
  caller(pcm: Int16Array, providerMs = NaN, track: Track = Track.caller): this {
    return this.#add(RecordKind.audio, bytes(pcm), { track, encoding: Encoding.pcm16, providerMs });
  }

  /** Audio of which only the length is told. */
  muted(samples: number, providerMs = NaN, track: Track = Track.caller): this {
    const payload = Buffer.alloc(mutedBytes);
    payload.writeUInt32LE(2 * samples);
    return this.#add(RecordKind.muted, payload, { track, encoding: Encoding.pcm16, providerMs });
  }

  bot(pcm: Int16Array): this {
    return this.#add(RecordKind.audio, bytes(pcm), { track: Track.botSent, encoding: Encoding.pcm16 });
  }

  clear(): this {
    return this.#add(RecordKind.clear, new Uint8Array(0));
  }

  mark(name: string): this {
    return this.#add(RecordKind.mark, Buffer.from(name));
  }

  echo(name: string): this {
    return this.#add(RecordKind.markEcho, Buffer.from(name));
  }

  add(kind: RecordKind, facts: object): this {
    return this.#add(kind, json(facts));
  }

  /** A record of the whole daemon, not of this call. */
  clock(): this {
    return this.#add(RecordKind.clock, new Uint8Array(0), { stream: 0, call: 0 });
  }

  stop(reason = 'stop'): this {
    return this.#add(RecordKind.streamEnd, json({ reason, closeCode: 1000 }));
  }

  end(ended = true): this {
    return this.#add(RecordKind.callEnd, json({ ended }), { stream: 0 });
  }

  /** Which stream the following records belong to, from 1. */
  on(stream: number): this {
    this.#stream = stream;
    return this;
  }

  #add(kind: RecordKind, payload: Uint8Array, more: Partial<TapRecord> = {}): this {
    this.records.push({
      kind,
      track: Track.none,
      encoding: Encoding.none,
      call: 1,
      stream: this.#stream,
      arrivalMs: 1_000_000 + this.#nowMs,
      providerMs: NaN,
      sequence: this.records.length + 1,
      payload,
      ...more,
    });
    return this;
  }
}

/** Samples that can be told apart: `first`, `first + 1`, … within the 16 bits, never 0. */
export function numbered(first: number, length: number): Int16Array {
  return Int16Array.from({ length }, (_, i) => ((first + i) % 30_000) + 1);
}

function bytes(pcm: Int16Array): Uint8Array {
  return new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength);
}

function json(facts: object): Uint8Array {
  return Buffer.from(JSON.stringify(facts));
}
