import type { Counters } from '../tap/Counters.js';
import { RingWriter } from '../tap/Ring.js';
import type { RoomKeep } from '../tap/RoomsMessage.js';
import type { SharedSequence } from '../tap/Sequence.js';
import type { TapAddress } from '../tap/Tap.js';
import { Encoding, mutedBytes, RecordKind, recordHeaderBytes, Track } from '../tap/TapRecord.js';

/** Frames that may wait for their lane's address, each of 100 ms. */
const mostHeld = 50;

interface Held {
  /** As was asked for when it came. */
  readonly keep: RoomKeep;
  readonly arrivalMs: number;
  readonly pcm: Uint8Array;
}

/** The ring that rooms fill, as all of their lanes share it. */
export class RoomRing {
  readonly #ring: RingWriter;
  readonly #sequence: SharedSequence;
  readonly #counters: Counters;

  constructor(ring: SharedArrayBuffer, sequence: SharedSequence, counters: Counters) {
    this.#ring = new RingWriter(ring);
    this.#sequence = sequence;
    this.#counters = counters;
    counters.set('roomRingCapacityBytes', this.#ring.capacity);
  }

  /** @returns false when the ring is full, or was and is still nearly so: nothing was written */
  write(
    kind: typeof RecordKind.audio | typeof RecordKind.muted,
    { call, stream }: TapAddress,
    arrivalMs: number,
    payload: Uint8Array,
  ): boolean {
    const offset = this.#ring.isOverfull ? -1 : this.#ring.reserve(payload.length);
    if (offset < 0) return false;
    const { view, bytes } = this.#ring;
    view.setUint32(offset, recordHeaderBytes + payload.length, true);
    view.setUint16(offset + 4, kind, true);
    view.setUint8(offset + 6, Track.caller);
    view.setUint8(offset + 7, Encoding.pcm16);
    view.setUint32(offset + 8, call, true);
    view.setUint32(offset + 12, stream, true);
    view.setFloat64(offset + 16, arrivalMs, true);
    view.setFloat64(offset + 24, NaN, true);
    bytes.set(payload, offset + recordHeaderBytes);
    this.#ring.commitNumbered(offset, this.#sequence.cells);
    return true;
  }

  /** Something found no room. */
  dropped(): void {
    this.#counters.add('roomDroppedRecords');
  }

  /** Shows how full it is. */
  gauge(): void {
    this.#counters.set('roomRingBytes', this.#ring.usedBytes());
  }
}

const muted = new Uint8Array(mutedBytes);
const mutedView = new DataView(muted.buffer);

/**
 * Writes the audio of one lane where the media thread says. What comes before it has said so waits, in order and within bounds. Lanes
 * come in real time, all at the same rate, so that none of them can take the ring from the others, and no share of it is kept.
 */
export class LaneWriter {
  readonly #ring: RoomRing;
  readonly #missed: (records: number, sinceMs: number) => void;
  #address: TapAddress | null = null;
  #held: Held[] = [];
  keep: RoomKeep = 'audio';

  /** @param missed - told what found no room: behind it the audio is missing from the recording */
  constructor(ring: RoomRing, missed: (records: number, sinceMs: number) => void) {
    this.#ring = ring;
    this.#missed = missed;
  }

  /** @param pcm - is kept for as long as the address isn't known, and copied otherwise */
  write(pcm: Uint8Array, arrivalMs: number): void {
    if (this.keep === 'nothing') return;
    if (this.#address !== null) return this.#put(this.#address, pcm, arrivalMs, this.keep);
    if (this.#held.length < mostHeld)
      this.#held.push({ keep: this.keep, pcm: Uint8Array.from(pcm), arrivalMs });
    else this.#lose(arrivalMs);
  }

  /** Its stream is written down: from now on its audio may be. */
  open(address: TapAddress): void {
    this.#address = address;
    const held = this.#held;
    this.#held = [];
    for (const { pcm, arrivalMs, keep } of held) this.#put(address, pcm, arrivalMs, keep);
  }

  /** Whether audio waits for the address. */
  get isHolding(): boolean {
    return this.#held.length > 0;
  }

  /** The address won't come: what waits for it is missing. */
  giveUp(): void {
    const held = this.#held.splice(0);
    if (this.keep === 'nothing') return;
    for (const { arrivalMs } of held) this.#lose(arrivalMs);
  }

  /** @param keep - when it came: what was said during a pause isn't kept because that is over */
  #put(address: TapAddress, pcm: Uint8Array, arrivalMs: number, keep: RoomKeep): void {
    if (address.call === 0) return;
    let isWritten: boolean;
    if (this.keep === 'audio' && keep === 'audio')
      isWritten = this.#ring.write(RecordKind.audio, address, arrivalMs, pcm);
    else {
      mutedView.setUint32(0, pcm.length, true);
      isWritten = this.keep === 'nothing' || this.#ring.write(RecordKind.muted, address, arrivalMs, muted);
    }
    if (!isWritten) this.#lose(arrivalMs);
  }

  #lose(arrivalMs: number): void {
    this.#ring.dropped();
    this.#missed(1, arrivalMs);
  }
}
