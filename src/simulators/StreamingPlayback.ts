import { PlaybackQueue, type MarkEcho, type Piece } from './PlaybackQueue.js';

export interface StreamingOptions {
  /** Rate of the binary audio that comes back, Hz (`bidirectionalAudio.sampleRate`). */
  readonly sampleRate: number;
  /** Codec rate of the call leg, Hz. Default 8000. */
  readonly legSampleRate?: number;
  /** Media tick of the leg, ms. Default 20. */
  readonly tickMs?: number;
}

/** Marks that may be outstanding; further ones are discarded without an answer. */
export const maxMarks = 30;

/**
 * The return path of jambonz bidirectional streaming, as its FreeSWITCH module behaves. Binary audio first collects in a
 * pre-buffer, which moves to the playout buffer as a whole whenever a message fills it to the threshold: 1280 × d samples the
 * first time, 640 × d afterwards, d = max(1, floor(rate ÷ leg rate)). So the tail of an utterance may stay behind, unheard,
 * until more audio comes; `killAudio` empties the playout buffer at the next tick but leaves that tail alone. A mark goes in
 * front of the next message's audio; without further audio one mark fires per tick once the playout buffer is empty.
 */
export class StreamingPlayback {
  readonly queue: PlaybackQueue<Int16Array>;
  readonly #tickMs: number;
  readonly #scale: number;
  #held: { audio: Int16Array; marks: string[] }[] = [];
  #heldSamples = 0;
  #started = false;
  /** Marks that no audio has followed yet. */
  #waiting: string[] = [];
  #waitingFromMs = 0;
  #echoes: MarkEcho[] = [];

  constructor(options: StreamingOptions) {
    this.#tickMs = options.tickMs ?? 20;
    this.#scale = Math.max(1, Math.floor(options.sampleRate / (options.legSampleRate ?? 8000)));
    // The module's playout buffer has no bound; ten hours stand for that.
    this.queue = new PlaybackQueue({
      sampleRate: options.sampleRate,
      tickMs: this.#tickMs,
      maxQueueMs: 36_000_000,
    });
  }

  /** Samples in the pre-buffer, unheard until the threshold is reached. */
  get heldSamples(): number {
    return this.#heldSamples;
  }

  /** Samples that the pre-buffer must hold before it plays. */
  get threshold(): number {
    return (this.#started ? 640 : 1280) * this.#scale;
  }

  get pendingMarks(): number {
    return this.queue.pendingMarks + this.#waiting.length + this.#heldMarks;
  }

  get dueMs(): number {
    if (this.#echoes.length > 0) return -Infinity;
    return Math.min(this.queue.dueMs, this.#waitingDueMs);
  }

  append(audio: Int16Array, nowMs: number): void {
    this.#catchUp(nowMs);
    this.#held.push({ audio, marks: this.#waiting });
    this.#waiting = [];
    this.#heldSamples += audio.length;
    if (this.#heldSamples < this.threshold) return;
    for (const { audio: part, marks } of this.#held.splice(0)) {
      const start = this.queue.append(part, nowMs) ?? this.queue.end;
      for (const name of marks) this.queue.markAt(name, start);
    }
    this.#heldSamples = 0;
    this.#started = true;
  }

  /** @returns false when too many marks are outstanding and this one was discarded */
  mark(name: string, nowMs: number): boolean {
    this.#catchUp(nowMs);
    if (this.pendingMarks >= maxMarks) return false;
    if (this.#waiting.length === 0) this.#waitingFromMs = Math.max(this.#waitingFromMs, nowMs);
    this.#waiting.push(name);
    return true;
  }

  /** `killAudio`. */
  clear(nowMs: number): void {
    this.#catchUp(nowMs);
    this.queue.clear(nowMs);
    this.#echoes.push(...this.queue.advance(nowMs));
    const unplaced = [...this.#held.flatMap((part) => part.marks.splice(0)), ...this.#waiting.splice(0)];
    for (const name of unplaced) this.#echoes.push({ name, dueMs: nowMs, cleared: true });
  }

  /** `clearMarks`: pending marks are forgotten without an echo. */
  forgetMarks(): void {
    this.queue.forgetMarks();
    for (const part of this.#held) part.marks.length = 0;
    this.#waiting = [];
  }

  advance(nowMs: number): readonly MarkEcho[] {
    this.#catchUp(nowMs);
    const echoes = this.#echoes;
    if (echoes.length > 0) this.#echoes = [];
    return echoes;
  }

  finish(nowMs: number): void {
    this.queue.finish(nowMs);
    this.forgetMarks();
    this.#echoes = [];
  }

  heard(nowMs: number): Piece<Int16Array>[] {
    return this.queue.heard(nowMs);
  }

  get #heldMarks(): number {
    return this.#held.reduce((count, part) => count + part.marks.length, 0);
  }

  /** The first tick at which the playout buffer is empty and the oldest waiting mark hasn't missed it. */
  get #waitingDueMs(): number {
    if (this.#waiting.length === 0) return Infinity;
    const from = Math.max(this.queue.end, this.queue.sampleAt(this.#waitingFromMs));
    return this.queue.msAt(this.queue.nextTick(from));
  }

  #catchUp(nowMs: number): void {
    this.#echoes.push(...this.queue.advance(nowMs));
    for (let dueMs = this.#waitingDueMs; dueMs <= nowMs; dueMs = this.#waitingDueMs) {
      this.#echoes.push({ name: this.#waiting.shift() ?? '', dueMs, cleared: false });
      this.#waitingFromMs = dueMs + this.#tickMs;
    }
  }
}
