import type { Duplex } from 'node:stream';
import { FrameKind, FrameReader, frameHeader, frameOf, monotonicMs, type RoomFrame } from './RoomFrame.js';
import type { FromRoomProcess, ToRoomProcess } from './RoomMessage.js';
import { RoomSession, type SessionClock } from './RoomSession.js';
import type { RoomSdk } from './RoomSdk.js';

/** What may wait in the pipe before audio is thrown away, bytes: about 40 s of one lane. The thread that reads it hangs or is gone. */
const mostWaiting = 4 * 1024 * 1024;
/** How often it is shown that the process lives, ms. */
const beatMs = 1000;

/** All rooms of one process: does what it is told over the pipe, and writes there what comes of it. */
export class RoomHost {
  readonly #pipe: Duplex;
  readonly #sdk: RoomSdk;
  readonly #clock: SessionClock;
  readonly #sessions = new Map<number, RoomSession>();
  /** Of rooms that are over, and that the server is being told of; of rooms that are still being joined. */
  readonly #underWay = new Set<Promise<void>>();

  /** @param pipe - its end, which comes when the daemon's thread is gone, is for the caller to look at */
  constructor(pipe: Duplex, sdk: RoomSdk, clock: SessionClock = processClock) {
    this.#pipe = pipe;
    this.#sdk = sdk;
    this.#clock = clock;
    const reader = new FrameReader((frame) => this.#obey(frame));
    pipe.on('data', (bytes: Buffer) => reader.push(bytes));
    tell(pipe, { room: 0, lane: 0, timeMs: clock.now() }, { type: 'ready' });
    setInterval(() => this.#beat(), beatMs).unref();
  }

  /** Leaves every room; resolves when the server has been told of all, of those that were left before, too. */
  async leaveAll(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map(async (session) => await session.leave()));
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  #beat(): void {
    const beat = { kind: FrameKind.beat, room: 0, lane: 0, timeMs: this.#clock.now() };
    if (this.#pipe.writable && this.#pipe.writableLength === 0) this.#pipe.write(frameHeader(beat, 0));
  }

  #obey({ kind, room, payload }: RoomFrame): void {
    if (kind !== FrameKind.message) return;
    const message = JSON.parse(Buffer.from(payload).toString()) as ToRoomProcess;
    if (message.type === 'leave') void this.#sessions.get(room)?.leave();
    else if (!this.#sessions.has(room)) this.#remember(this.#open(room, message).join());
  }

  #open(room: number, request: Extract<ToRoomProcess, { type: 'join' }>): RoomSession {
    const session = new RoomSession(request, {
      sdk: this.#sdk,
      clock: this.#clock,
      out: {
        audio: (lane, timeMs, samples) => this.#audio({ room, lane, timeMs }, samples),
        tell: (lane, timeMs, message) => tell(this.#pipe, { room, lane, timeMs }, message),
      },
      onOver: () => this.#sessions.delete(room),
      onLeaving: (left) => this.#remember(left),
    });
    this.#sessions.set(room, session);
    return session;
  }

  /** @param done - never rejects */
  #remember(done: Promise<void>): void {
    this.#underWay.add(done);
    void done.then(() => this.#underWay.delete(done));
  }

  #audio(where: Pick<RoomFrame, 'room' | 'lane' | 'timeMs'>, samples: Int16Array): void {
    if (this.#pipe.writableLength > mostWaiting || !this.#pipe.writable) return;
    const payload = Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);
    this.#pipe.cork();
    this.#pipe.write(frameHeader({ kind: FrameKind.audio, ...where }, payload.length));
    this.#pipe.write(payload);
    this.#pipe.uncork();
  }
}

/** Writes a message of a process into its pipe. */
export function tell(
  pipe: Duplex,
  where: Pick<RoomFrame, 'room' | 'lane' | 'timeMs'>,
  message: FromRoomProcess,
): void {
  if (!pipe.writable) return;
  pipe.write(frameOf({ kind: FrameKind.message, ...where, payload: Buffer.from(JSON.stringify(message)) }));
}

const processClock: SessionClock = {
  now: monotonicMs,
  after: (ms, then) => {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
};
