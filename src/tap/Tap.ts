import type {
  CallEndFacts,
  CallFacts,
  ClipDoneFacts,
  ClipFacts,
  DtmfFacts,
  Encoding,
  EventFacts,
  PauseFacts,
  StreamEndFacts,
  StreamFacts,
  Track,
} from './TapRecord.js';

/**
 * The relay's side of the tap. Every method copies what it is given into the ring and returns: none waits, throws, or
 * touches anything but shared memory. When the ring is full the record is dropped and counted, and the next one that fits
 * is preceded by a `dropped` record. All `arrivalMs` are `performance.now()` of the media thread.
 */
export interface Tap {
  /** A call of which a recording is to be kept. */
  startCall(facts: CallFacts, arrivalMs: number): CallTap;
  /** Once a second: tells the recorder how far time has come. */
  clock(arrivalMs: number): void;
}

export interface CallTap {
  readonly recordingId: string;
  startStream(facts: StreamFacts, arrivalMs: number): StreamTap;
  event(facts: EventFacts, arrivalMs: number): void;
  pause(facts: PauseFacts, arrivalMs: number): void;
  end(facts: CallEndFacts, arrivalMs: number): void;
}

/** Where the records of a stream belong, for a thread that writes them by itself. Call 0: nowhere, nothing of it is kept. */
export interface TapAddress {
  readonly call: number;
  readonly stream: number;
}

export interface StreamTap {
  /** Null while something of the call that gives the others their meaning still waits for room. */
  readonly address: TapAddress | null;
  /** Records of this stream's call found no room elsewhere, the first of them at `sinceMs`: it is told here instead. */
  missed(records: number, sinceMs: number, arrivalMs: number): void;
  /**
   * @param payload - raw audio in `encoding`; any length, split here into records of at most 1 MiB
   * @param providerMs - the provider's time of the first sample, ms since stream start; NaN where it gives none
   */
  audio(track: Track, encoding: Encoding, payload: Uint8Array, providerMs: number, arrivalMs: number): void;
  /** Audio of so many bytes came that isn't to be kept. */
  muted(track: Track, encoding: Encoding, bytes: number, providerMs: number, arrivalMs: number): void;
  clear(arrivalMs: number): void;
  mark(name: string, arrivalMs: number): void;
  markEcho(name: string, arrivalMs: number): void;
  dtmf(facts: DtmfFacts, arrivalMs: number): void;
  clip(facts: ClipFacts, arrivalMs: number): void;
  clipDone(facts: ClipDoneFacts, arrivalMs: number): void;
  end(facts: StreamEndFacts, arrivalMs: number): void;
}
