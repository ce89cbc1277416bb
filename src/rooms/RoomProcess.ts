import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { withoutSecrets } from '../config/withoutSecrets.js';
import { FrameKind, FrameReader, frameOf, type RoomFrame } from './RoomFrame.js';
import type { FromRoomProcess, ToRoomProcess } from './RoomMessage.js';

/** Looks without a sign of life after which a process is ended, and the time between two of them, ms. */
const mostSilentLooks = 8;
const lookMs = 1000;
/** While it loads its library it says nothing for longer, on a machine that has other work. */
const mostSilentLooksAtStart = 30;
/** Characters of what it says on stderr that go into one log line. */
const longestLine = 500;

/** A room, as its process's news of it go. */
export interface RoomInProcess {
  audio(lane: number, timeMs: number, pcm: Uint8Array): void;
  told(lane: number, timeMs: number, message: FromRoomProcess): void;
  /** The process has ended under it, in whatever way. The last word. */
  processLost(detail: string): void;
}

/** How a process is started: as `spawn`, with all that may go wrong with that. */
export type Start = (command: string, args: readonly string[], options: SpawnOptions) => ChildProcess;

export interface RoomProcessOptions {
  /** The module that it runs. */
  readonly entry: URL;
  readonly log: Logger;
  /** Default: `spawn`. */
  readonly start?: Start;
  /** It can join rooms now. */
  readonly onReady: () => void;
  /** It never will. */
  readonly onUnusable: (message: string) => void;
  /** It has ended. @param wasReady - it had got as far as that */
  readonly onEnded: (wasReady: boolean, wasAsked: boolean) => void;
}

/**
 * A process that sits in rooms, from this side of its pipe. It ends when it is told to, by itself, or when it hasn't been heard of for
 * too long; each room in it is told so.
 */
export class RoomProcess {
  readonly #options: RoomProcessOptions;
  readonly #child: ChildProcess;
  /** Null: the system had no descriptors for it, and it was never started. */
  readonly #pipe: Duplex | null;
  readonly #rooms = new Map<number, RoomInProcess>();
  readonly #looking: NodeJS.Timeout;
  #reserved = 0;
  #isTaken = false;
  #isReady = false;
  #isEnding = false;
  #isOver = false;
  #silentLooks = 0;
  /** Rooms that it has been given so far. */
  joined = 0;

  /** @throws Error when the system has no memory for it; other failures to start are its end, like any other */
  constructor(options: RoomProcessOptions) {
    this.#options = options;
    const { start = spawn } = options;
    // Its library logs to stdout in a form of its own, at a level that NODE_ENV decides.
    this.#child = start(process.execPath, [fileURLToPath(options.entry)], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      env: { ...withoutSecrets(process.env), NODE_ENV: 'production' },
    });
    // Before anything else: it is told in the next turn that there is no such command. Again, where it can't be killed.
    this.#child.on('error', (error) => this.#over(error.message));
    this.#pipe = pipeOf(this.#child);
    if (this.#pipe === null) setImmediate(() => this.#over('it could not be started'));
    else this.#listen(this.#pipe);
    this.#looking = setInterval(() => this.#look(), lookMs);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get isReady(): boolean {
    return this.#isReady && !this.#isEnding;
  }

  /** It gets no more rooms. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** Rooms that it has, and places that are kept for others. */
  get size(): number {
    return this.#rooms.size + this.#reserved;
  }

  /** Some room has it to itself. */
  get isTaken(): boolean {
    return this.#isTaken;
  }

  /**
   * Keeps a place for a room, which is given it by {@link join}, or gives it back by {@link release}.
   *
   * @param isAlone - no other room gets one, then or later
   */
  reserve(isAlone: boolean): void {
    this.#reserved++;
    this.#isTaken ||= isAlone;
  }

  release(): void {
    this.#reserved--;
  }

  join(room: number, request: Extract<ToRoomProcess, { type: 'join' }>, visitor: RoomInProcess): void {
    this.release();
    this.joined++;
    if (this.#isOver) {
      setImmediate(() => visitor.processLost('it has ended'));
      return;
    }
    this.#rooms.set(room, visitor);
    this.#send(room, request);
  }

  leave(room: number): void {
    this.#send(room, { type: 'leave' });
  }

  /** Nothing of this room matters any more. */
  forget(room: number): void {
    this.#rooms.delete(room);
  }

  /** Its rooms are left, and it ends. */
  end(): void {
    this.#isEnding = true;
    this.#pipe?.end();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #listen(pipe: Duplex): void {
    const reader = new FrameReader((frame) => this.#frame(frame));
    pipe.on('data', (bytes: Buffer) => {
      this.#silentLooks = 0;
      try {
        reader.push(bytes);
      } catch (error) {
        this.#options.log.error({ err: error, pid: this.pid }, 'a process that joins rooms writes nonsense');
        this.kill();
      }
    });
    // Its end is told by the process itself.
    pipe.on('error', () => undefined);
    this.#child.stderr?.on('data', (text: Buffer) => {
      const line = text.toString().trim().slice(0, longestLine);
      this.#options.log.debug({ pid: this.pid, line }, 'a process that joins rooms says');
    });
    // Not its exit: what it has written before that is still to be read.
    this.#child.once('close', (code, signal) => this.#over(signal ?? `exit code ${code ?? '?'}`));
  }

  #frame({ kind, room, lane, timeMs, payload }: RoomFrame): void {
    if (kind === FrameKind.audio) return this.#rooms.get(room)?.audio(lane, timeMs, payload);
    if (kind !== FrameKind.message) return;
    const message = JSON.parse(Buffer.from(payload).toString()) as FromRoomProcess;
    if (message.type === 'ready') {
      this.#isReady = true;
      this.#options.onReady();
    } else if (message.type === 'unusable') this.#options.onUnusable(message.message);
    else this.#rooms.get(room)?.told(lane, timeMs, message);
  }

  /** Looks are counted, not time: a machine that sleeps, or this loop itself, is no fault of the process. */
  #look(): void {
    this.#silentLooks++;
    if (this.#silentLooks < (this.#isReady ? mostSilentLooks : mostSilentLooksAtStart)) return;
    this.#options.log.error({ pid: this.pid }, 'a process that joins rooms says nothing; it is ended');
    this.kill();
  }

  #over(detail: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#looking);
    const wasReady = this.#isReady;
    const wasAsked = this.#isEnding;
    this.#isEnding = true;
    const rooms = [...this.#rooms.values()];
    this.#rooms.clear();
    // First who starts another, then who needs one.
    this.#options.onEnded(wasReady, wasAsked);
    for (const room of rooms) room.processLost(detail);
  }

  #send(room: number, message: ToRoomProcess): void {
    if (this.#pipe?.writable !== true) return;
    const payload = Buffer.from(JSON.stringify(message));
    this.#pipe.write(frameOf({ kind: FrameKind.message, lane: 0, room, timeMs: 0, payload }));
  }
}

/** @returns null where there were no descriptors left: `spawn` gives a child without any streams then, whatever its type says */
function pipeOf({ stdio }: { readonly stdio?: ChildProcess['stdio'] }): Duplex | null {
  return (stdio?.[3] as Duplex | null | undefined) ?? null;
}
