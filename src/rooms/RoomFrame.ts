/**
 * What goes over the pipe between the rooms' thread and a process that sits in rooms, in both directions: frames, each a header and its
 * payload, little-endian.
 *
 * | offset | type | field |
 * |---|---|---|
 * | 0 | u32 | length of the payload, bytes |
 * | 4 | u16 | kind |
 * | 6 | u16 | 0 |
 * | 8 | u32 | room, as the media thread numbers it; 0 for none |
 * | 12 | u32 | lane, numbered by the process as long as it is in the room; 0 for none |
 * | 16 | f64 | when it came, or happened: CLOCK_MONOTONIC, ms |
 * | 24 | … | payload |
 *
 * CLOCK_MONOTONIC is one for all processes of a machine, so the time is that of the process that has heard it, and not that of whoever
 * empties the pipe.
 */
export const frameHeaderBytes = 24;

/** The longest payload, bytes: some seconds of audio. What claims more isn't a frame of ours. */
export const maxFrameBytes = 1_048_576;

export const FrameKind = {
  /** Payload: one channel of signed 16-bit PCM, little-endian; the time is that of its end. */
  audio: 1,
  /** Payload: JSON, `RoomMessage.ts`. */
  message: 2,
  /** The process's event loop turns. No payload. */
  beat: 3,
} as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

export interface RoomFrame {
  readonly kind: number;
  readonly lane: number;
  readonly room: number;
  readonly timeMs: number;
  /** A view, valid until the next one is read. */
  readonly payload: Uint8Array;
}

/** A header by itself: the payload is written behind it, uncopied. */
export function frameHeader(frame: Omit<RoomFrame, 'payload'>, payloadBytes: number): Buffer {
  const header = Buffer.alloc(frameHeaderBytes);
  header.writeUInt32LE(payloadBytes, 0);
  header.writeUInt16LE(frame.kind, 4);
  header.writeUInt32LE(frame.room, 8);
  header.writeUInt32LE(frame.lane, 12);
  header.writeDoubleLE(frame.timeMs, 16);
  return header;
}

export function frameOf(frame: RoomFrame): Buffer {
  return Buffer.concat([frameHeader(frame, frame.payload.length), frame.payload]);
}

/** CLOCK_MONOTONIC now, ms: `performance.now()` begins anew in each thread and process. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Takes a stream of bytes apart into frames. What is held is at most one frame that hasn't come whole. */
export class FrameReader {
  readonly #visit: (frame: RoomFrame) => void;
  #rest: Buffer = Buffer.alloc(0);

  constructor(visit: (frame: RoomFrame) => void) {
    this.#visit = visit;
  }

  /** @throws RangeError when the bytes are no frames; nothing behind them can be read */
  push(bytes: Buffer): void {
    let left = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (left.length >= frameHeaderBytes) {
      const length = left.readUInt32LE(0);
      if (length > maxFrameBytes) throw new RangeError(`A frame of ${length} bytes is none.`);
      const end = frameHeaderBytes + length;
      if (left.length < end) break;
      this.#visit({
        kind: left.readUInt16LE(4),
        lane: left.readUInt32LE(12),
        room: left.readUInt32LE(8),
        timeMs: left.readDoubleLE(16),
        payload: left.subarray(frameHeaderBytes, end),
      });
      left = left.subarray(end);
    }
    // A copy: what was read would otherwise be kept for as long as a piece of it is.
    this.#rest = Buffer.from(left);
  }
}
