import type { Counters } from './Counters.js';
import { HeldRecords, type Held, type HeldRecord, type RecordHead } from './HeldRecords.js';
import { RingWriter } from './Ring.js';
import { RingShare } from './RingShare.js';
import { OwnSequence } from './Sequence.js';
import type { Sequence } from './Sequence.js';
import type { CallTap, StreamTap, Tap, TapAddress } from './Tap.js';
import {
  Encoding,
  RecordKind,
  Track,
  maxPayloadBytes,
  mutedBytes,
  recordBytes,
  recordHeaderBytes,
  type CallEndFacts,
  type CallFacts,
  type ClipDoneFacts,
  type ClipFacts,
  type DtmfFacts,
  type DroppedFacts,
  type EventFacts,
  type PauseFacts,
  type StreamEndFacts,
  type StreamFacts,
} from './TapRecord.js';

const noPayload = new Uint8Array(0);

/** One for all of them, since the ring copies it at once. */
const mutedLength = new Uint8Array(mutedBytes);
const mutedView = new DataView(mutedLength.buffer);

/**
 * The tap over a shared-memory ring. An audio record costs one copy of the payload and forty bytes of header; nothing is
 * allocated for it.
 *
 * When the ring is full, or a call has its share of one that is half full, audio, marks and events are dropped and counted per call. The records that give the others their
 * meaning (starts, ends, pauses, digits that are masked) are held here instead and go first when there is room again, with a `dropped` record
 * wherever others are missing between them.
 */
export class RingTap implements Tap {
  readonly #ring: RingWriter;
  readonly #counters: Counters | null;
  /** Calls with held records or unreported drops; looked at once a second. */
  readonly #behind = new Set<RingCallTap>();
  readonly #sequence: Sequence;
  readonly #isBehindElsewhere: () => boolean;
  #calls = 0;
  #streams = 0;

  constructor(
    ring: SharedArrayBuffer,
    counters: Counters | null = null,
    others: {
      /** Numbers the records of all rings. */
      readonly sequence: Sequence;
      /** Whether something that was dropped of another ring couldn't be told yet. */
      readonly isBehind: () => boolean;
    } = { sequence: new OwnSequence(), isBehind: () => false },
  ) {
    this.#ring = new RingWriter(ring);
    this.#counters = counters;
    this.#sequence = others.sequence;
    this.#isBehindElsewhere = others.isBehind;
    this.#counters?.set('tapRingCapacityBytes', this.#ring.capacity);
  }

  startCall(facts: CallFacts, arrivalMs: number): CallTap {
    const call = new RingCallTap(this, ++this.#calls, facts);
    call.hold(RecordKind.callStart, 0, facts, arrivalMs);
    return call;
  }

  clock(arrivalMs: number): void {
    for (const call of this.#behind) call.catchUp(arrivalMs);
    // Time must not pass over what a call could not yet tell it has lost: after half a minute its silence would be final.
    if (this.#behind.size === 0 && !this.#isBehindElsewhere())
      this.write({ kind: RecordKind.clock, call: 0, stream: 0, arrivalMs }, noPayload);
    this.#counters?.set('tapRingBytes', this.#ring.usedBytes());
  }

  nextStream(): number {
    return ++this.#streams;
  }

  /** Marks a call as having something to say as soon as there is room, or as being up to date. */
  setBehind(call: RingCallTap, behind: boolean): void {
    if (behind) this.#behind.add(call);
    else this.#behind.delete(call);
  }

  /**
   * Whether a call may have another record: while the ring is half empty each may, from then on those that hold less than a
   * quarter of it. So one call that says more than the recorder can take (a bot may send 16 MiB at once) costs no other's audio.
   */
  isFair(share: RingShare, payloadBytes: number): boolean {
    const { capacity } = this.#ring;
    const bytes = recordBytes(payloadBytes);
    const used = this.#ring.usedBytes();
    if (used + bytes <= capacity / 2) return true;
    return share.heldBytes(this.#ring.writtenBytes - used) + bytes <= capacity / 4;
  }

  /** Audio, marks and events wait, see {@link RingWriter.isOverfull}. */
  get isOverfull(): boolean {
    return this.#ring.isOverfull;
  }

  /** Counts a record that found no room. */
  dropped(): void {
    this.#counters?.add('tapDroppedRecords');
  }

  /**
   * @param share - of the call whose record it is
   * @returns false when the ring is full: nothing was written
   */
  write(head: RecordHead, payload: Uint8Array, share?: RingShare): boolean {
    const offset = this.#ring.reserve(payload.length);
    if (offset < 0) return false;
    const { view, bytes } = this.#ring;
    view.setUint32(offset, recordHeaderBytes + payload.length, true);
    view.setUint16(offset + 4, head.kind, true);
    view.setUint8(offset + 6, head.track ?? Track.none);
    view.setUint8(offset + 7, head.encoding ?? Encoding.none);
    view.setUint32(offset + 8, head.call, true);
    view.setUint32(offset + 12, head.stream, true);
    view.setFloat64(offset + 16, head.arrivalMs, true);
    view.setFloat64(offset + 24, head.providerMs ?? NaN, true);
    view.setFloat64(offset + 32, this.#sequence.next(), true);
    bytes.set(payload, offset + recordHeaderBytes);
    this.#ring.commit();
    const written = this.#ring.writtenBytes;
    share?.add(recordBytes(payload.length), written, written - this.#ring.usedBytes());
    this.#counters?.add('tapRecords');
    return true;
  }
}

class RingCallTap implements CallTap {
  readonly recordingId: string;
  readonly #tap: RingTap;
  readonly #call: number;
  readonly #share = new RingShare();
  readonly #masksDigits: boolean;
  readonly #held = new HeldRecords();

  constructor(tap: RingTap, call: number, { recordingId, masksDigits }: CallFacts) {
    this.#tap = tap;
    this.#call = call;
    this.recordingId = recordingId;
    this.#masksDigits = masksDigits === true;
  }

  startStream(facts: StreamFacts, arrivalMs: number): StreamTap {
    const stream = this.#tap.nextStream();
    this.hold(RecordKind.streamStart, stream, facts, arrivalMs);
    return new RingStreamTap(this, stream);
  }

  event(facts: EventFacts, arrivalMs: number): void {
    this.write(RecordKind.event, 0, json(facts), arrivalMs);
  }

  pause(facts: PauseFacts, arrivalMs: number): void {
    this.hold(RecordKind.pause, 0, facts, arrivalMs);
  }

  end(facts: CallEndFacts, arrivalMs: number): void {
    this.hold(RecordKind.callEnd, 0, facts, arrivalMs);
  }

  /** Writes a record that must not be lost: at once, or as soon as there is room. */
  hold(kind: RecordKind, stream: number, facts: object, arrivalMs: number): void {
    this.#held.push(this.#recordOf(kind, stream, facts, arrivalMs));
    this.catchUp(arrivalMs);
  }

  /** Where digits are masked, one that is lost is one whose tone is heard. */
  digit(stream: number, facts: DtmfFacts, arrivalMs: number): void {
    if (!this.#masksDigits) return this.write(RecordKind.dtmf, stream, json(facts), arrivalMs);
    const record = this.#recordOf(RecordKind.dtmf, stream, facts, arrivalMs);
    if (this.#held.push(record)) this.#tap.dropped();
    // A call that has more than its share isn't given more for them: they wait for the next second.
    if (this.#tap.isFair(this.#share, record.payload.length)) this.catchUp(arrivalMs);
    else this.#tap.setBehind(this, true);
  }

  write(
    kind: RecordKind,
    stream: number,
    payload: Uint8Array,
    arrivalMs: number,
    audio?: Pick<RecordHead, 'track' | 'encoding' | 'providerMs'>,
  ): void {
    // Asked first: else each record of a call that has too much would have a report of its own.
    const mayHave = !this.#tap.isOverfull && this.#tap.isFair(this.#share, payload.length);
    const fits = mayHave && this.#isUpToDate(arrivalMs);
    const head = { kind, call: this.#call, stream, arrivalMs, ...audio };
    if (!fits || !this.#tap.write(head, payload, this.#share)) this.#drop(arrivalMs);
  }

  /** The address of one of its streams. */
  addressOf(stream: number): TapAddress | null {
    return this.#held.isEmpty ? { call: this.#call, stream } : null;
  }

  missed(records: number, sinceMs: number, arrivalMs: number): void {
    this.#held.drop(sinceMs, records);
    this.catchUp(arrivalMs);
  }

  #isUpToDate(arrivalMs: number): boolean {
    return this.#held.isEmpty || this.catchUp(arrivalMs);
  }

  /** Writes what was held and reports what was dropped. @returns whether all of it found room */
  catchUp(arrivalMs: number): boolean {
    for (let first = this.#held.first; first !== undefined; first = this.#held.first) {
      if (!this.#writeHeld(first, arrivalMs)) break;
      this.#held.shift();
    }
    const done = this.#held.isEmpty;
    this.#tap.setBehind(this, !done);
    return done;
  }

  #writeHeld(held: Held, arrivalMs: number): boolean {
    if ('head' in held) return this.#tap.write(held.head, held.payload, this.#share);
    const untilMs = this.#held.holeEndMs(arrivalMs);
    const facts: DroppedFacts = { records: held.records, sinceMs: held.sinceMs };
    const head = { kind: RecordKind.dropped, call: this.#call, stream: 0, arrivalMs: untilMs };
    return this.#tap.write(head, json(facts), this.#share);
  }

  #drop(arrivalMs: number): void {
    this.#tap.dropped();
    this.#held.drop(arrivalMs);
    this.#tap.setBehind(this, true);
  }

  #recordOf(kind: RecordKind, stream: number, facts: object, arrivalMs: number): HeldRecord {
    return { head: { kind, call: this.#call, stream, arrivalMs }, payload: json(facts) };
  }
}

class RingStreamTap implements StreamTap {
  readonly #call: RingCallTap;
  readonly #stream: number;

  constructor(call: RingCallTap, stream: number) {
    this.#call = call;
    this.#stream = stream;
  }

  get address(): TapAddress | null {
    return this.#call.addressOf(this.#stream);
  }

  missed(records: number, sinceMs: number, arrivalMs: number): void {
    this.#call.missed(records, sinceMs, arrivalMs);
  }

  audio(track: Track, encoding: Encoding, payload: Uint8Array, providerMs: number, arrivalMs: number): void {
    if (payload.length <= maxPayloadBytes) {
      this.#call.write(RecordKind.audio, this.#stream, payload, arrivalMs, { track, encoding, providerMs });
      return;
    }
    for (let from = 0; from < payload.length; from += maxPayloadBytes) {
      const piece = payload.subarray(from, from + maxPayloadBytes);
      // Only the first piece carries the provider's time: the rest follows it without a seam.
      const time = from === 0 ? providerMs : NaN;
      this.#call.write(RecordKind.audio, this.#stream, piece, arrivalMs, {
        track,
        encoding,
        providerMs: time,
      });
    }
  }

  muted(track: Track, encoding: Encoding, bytes: number, providerMs: number, arrivalMs: number): void {
    mutedView.setUint32(0, bytes, true);
    this.#call.write(RecordKind.muted, this.#stream, mutedLength, arrivalMs, { track, encoding, providerMs });
  }

  clear(arrivalMs: number): void {
    this.#call.write(RecordKind.clear, this.#stream, noPayload, arrivalMs);
  }

  mark(name: string, arrivalMs: number): void {
    this.#call.write(RecordKind.mark, this.#stream, text(name), arrivalMs);
  }

  markEcho(name: string, arrivalMs: number): void {
    this.#call.write(RecordKind.markEcho, this.#stream, text(name), arrivalMs);
  }

  dtmf(facts: DtmfFacts, arrivalMs: number): void {
    this.#call.digit(this.#stream, facts, arrivalMs);
  }

  clip(facts: ClipFacts, arrivalMs: number): void {
    this.#call.write(RecordKind.clip, this.#stream, json(facts), arrivalMs);
  }

  clipDone(facts: ClipDoneFacts, arrivalMs: number): void {
    this.#call.write(RecordKind.clipDone, this.#stream, json(facts), arrivalMs);
  }

  end(facts: StreamEndFacts, arrivalMs: number): void {
    this.#call.hold(RecordKind.streamEnd, this.#stream, facts, arrivalMs);
  }
}

function json(facts: object): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(facts));
  // Facts are small; one that is not (a start message full of custom parameters) must still fit into a record.
  if (bytes.length <= maxPayloadBytes) return bytes;
  return Buffer.from(JSON.stringify({ ...facts, parameters: { truncated: true } }));
}

function text(name: string): Uint8Array {
  return Buffer.from(name).subarray(0, maxPayloadBytes);
}
