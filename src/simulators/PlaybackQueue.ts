/** Audio of one queue: G.711 bytes or 16-bit samples; in both cases one element is one sample. */
export type QueueAudio = Uint8Array | Int16Array;

export interface QueueOptions {
  readonly sampleRate: number;
  /** Audio that may wait; a message that doesn't fit is refused whole. Default 600 000 ms (Twilio warning 31931). */
  readonly maxQueueMs?: number;
  /** Grid on which playout starts and is cut, in ms; 0, the default, plays from the very sample. */
  readonly tickMs?: number;
}

/** A stretch of audio and where it lies on the queue's clock. */
export interface Piece<Audio extends QueueAudio> {
  /** Samples since the queue's time zero. */
  readonly sampleStart: number;
  /** The same in ms. */
  readonly atMs: number;
  readonly audio: Audio;
}

export interface MarkEcho {
  readonly name: string;
  /** When the echo became due, ms since the queue's time zero. */
  readonly dueMs: number;
  /** True: a clear threw the audio before it away. */
  readonly cleared: boolean;
}

/**
 * A provider's playback queue as a pure model: no clock and no I/O of its own, every call says what time it is in ms since
 * the queue's time zero. Audio received at r starts at max(r, end of queue) and plays one sample after the other; a mark is
 * echoed when playout reaches it; a clear drops what has not played and echoes every mark at once (Twilio Media Streams,
 * WebSocket messages). At any time heard + pending + cleared = appended.
 *
 * Times must not go backwards from call to call.
 */
export class PlaybackQueue<Audio extends QueueAudio> {
  readonly sampleRate: number;
  readonly #maxSamples: number;
  readonly #tickSamples: number;
  readonly #pieces: { start: number; audio: Audio }[] = [];
  readonly #marks: { name: string; at: number }[] = [];
  #echoes: MarkEcho[] = [];
  #end = 0;
  #appended = 0;
  #cleared = 0;
  #refused = 0;

  constructor(options: QueueOptions) {
    this.sampleRate = options.sampleRate;
    this.#maxSamples = Math.round(((options.maxQueueMs ?? 600_000) * options.sampleRate) / 1000);
    this.#tickSamples = Math.round(((options.tickMs ?? 0) * options.sampleRate) / 1000);
  }

  /** Sample at which the queue runs empty. */
  get end(): number {
    return this.#end;
  }

  /** Samples accepted so far. */
  get appended(): number {
    return this.#appended;
  }

  /** Samples that a clear, or the end of the call, threw away. */
  get cleared(): number {
    return this.#cleared;
  }

  /** Samples refused because the queue was full. */
  get refused(): number {
    return this.#refused;
  }

  get pendingMarks(): number {
    return this.#marks.length;
  }

  /** When the next mark is due, ms; Infinity when none is pending, -Infinity when an echo waits to be collected. */
  get dueMs(): number {
    if (this.#echoes.length > 0) return -Infinity;
    const next = this.#marks[0];
    return next === undefined ? Infinity : this.msAt(next.at);
  }

  sampleAt(ms: number): number {
    return Math.round((ms * this.sampleRate) / 1000);
  }

  msAt(sample: number): number {
    return (sample * 1000) / this.sampleRate;
  }

  /** Samples appended that have not played yet. */
  pending(nowMs: number): number {
    const now = this.sampleAt(nowMs);
    let samples = 0;
    for (let index = this.#pieces.length - 1; index >= 0; index -= 1) {
      const unplayed = this.#endOf(index) - now;
      if (unplayed <= 0) break;
      samples += Math.min(unplayed, this.#pieces[index]?.audio.length ?? 0);
    }
    return samples;
  }

  /** @returns the sample at which the audio starts, or null when the queue is full and the audio was refused */
  append(audio: Audio, nowMs: number): number | null {
    this.#catchUp(nowMs);
    if (Math.max(0, this.#end - this.sampleAt(nowMs)) + audio.length > this.#maxSamples) {
      this.#refused += audio.length;
      return null;
    }
    const start = this.startAt(nowMs);
    if (audio.length > 0) this.#pieces.push({ start, audio });
    this.#end = start + audio.length;
    this.#appended += audio.length;
    return start;
  }

  /** Where audio appended now would start. With a grid, a tick takes what is there when it begins and nothing later. */
  startAt(nowMs: number): number {
    const now = this.sampleAt(nowMs);
    const lastTick = this.#end - (this.#tickSamples === 0 ? 0 : this.#end % this.#tickSamples);
    return now <= lastTick ? this.#end : this.nextTick(now);
  }

  /** The first tick at or after a sample; without a grid, the sample itself. */
  nextTick(sample: number): number {
    return this.#tickSamples === 0 ? sample : Math.ceil(sample / this.#tickSamples) * this.#tickSamples;
  }

  /** Puts a mark at the current end of the queue; on an empty queue it is due at once. */
  mark(name: string): void {
    this.markAt(name, this.#end);
  }

  /** Puts a mark at a sample that is not before any other pending mark. */
  markAt(name: string, sample: number): void {
    this.#marks.push({ name, at: sample });
  }

  /** Drops what has not played and makes every pending mark due, in order. */
  clear(nowMs: number): void {
    this.#catchUp(nowMs);
    this.#cut(this.nextTick(this.sampleAt(nowMs)));
    for (const { name } of this.#marks.splice(0)) this.#echoes.push({ name, dueMs: nowMs, cleared: true });
  }

  /** Drops pending marks without an echo (jambonz `clearMarks`). */
  forgetMarks(): void {
    this.#marks.length = 0;
  }

  /** The call is over: what has not played never will, and no mark is echoed any more. */
  finish(nowMs: number): void {
    this.#cut(this.sampleAt(nowMs));
    this.#marks.length = 0;
    this.#echoes = [];
  }

  /** The echoes that have become due since the last call, in order. */
  advance(nowMs: number): readonly MarkEcho[] {
    this.#catchUp(nowMs);
    if (this.#echoes.length === 0) return [];
    const echoes = this.#echoes;
    this.#echoes = [];
    return echoes;
  }

  /** What has been heard up to now, in order; pieces never overlap. The audio is a view of what was appended. */
  heard(nowMs: number): Piece<Audio>[] {
    const now = this.sampleAt(nowMs);
    const heard: Piece<Audio>[] = [];
    for (const { start, audio } of this.#pieces) {
      if (start >= now) break;
      const played = start + audio.length <= now ? audio : (audio.subarray(0, now - start) as Audio);
      heard.push({ sampleStart: start, atMs: this.msAt(start), audio: played });
    }
    return heard;
  }

  /** Copies what plays in [sampleStart, sampleStart + target.length) into target; the rest of target is left alone. */
  read(sampleStart: number, target: Audio): void {
    for (let index = this.#pieces.length - 1; index >= 0 && this.#endOf(index) > sampleStart; index -= 1) {
      const piece = this.#pieces[index];
      if (piece === undefined || piece.start >= sampleStart + target.length) continue;
      const from = Math.max(0, sampleStart - piece.start);
      const to = Math.min(piece.audio.length, sampleStart + target.length - piece.start);
      target.set(piece.audio.subarray(from, to), piece.start + from - sampleStart);
    }
  }

  #endOf(index: number): number {
    const piece = this.#pieces[index];
    return piece === undefined ? 0 : piece.start + piece.audio.length;
  }

  #cut(at: number): void {
    for (let piece = this.#pieces.at(-1); piece !== undefined; piece = this.#pieces.at(-1)) {
      const unplayed = piece.start + piece.audio.length - at;
      if (unplayed <= 0) break;
      this.#cleared += Math.min(unplayed, piece.audio.length);
      if (unplayed < piece.audio.length) {
        piece.audio = piece.audio.subarray(0, piece.audio.length - unplayed) as Audio;
        break;
      }
      this.#pieces.pop();
    }
    this.#end = Math.min(this.#end, at);
  }

  #catchUp(nowMs: number): void {
    const now = this.sampleAt(nowMs);
    for (let next = this.#marks[0]; next !== undefined && next.at <= now; next = this.#marks[0]) {
      this.#marks.shift();
      this.#echoes.push({ name: next.name, dueMs: this.msAt(next.at), cleared: false });
    }
  }
}
