import { PlaybackQueue, type Piece } from './PlaybackQueue.js';

export interface ClipDone {
  readonly id: string | undefined;
  /** How much of the clip was heard, samples. */
  readonly playedSamples: number;
}

/** Clips that may wait behind the playing one; further ones are lost without a word. */
export const maxQueuedClips = 11;

/**
 * Playback of jambonz `playAudio` clips. A clip that isn't queued starts at once, stops the one that plays and drops those that
 * wait; a queued one follows the last. Each clip that began to play is reported when it ends, also when it was killed.
 */
export class ClipPlayback {
  readonly queue: PlaybackQueue<Int16Array>;
  readonly #clips: { readonly id: string | undefined; readonly start: number; readonly end: number }[] = [];
  #done: ClipDone[] = [];

  constructor(sampleRate: number) {
    this.queue = new PlaybackQueue({ sampleRate, maxQueueMs: 36_000_000 });
  }

  get dueMs(): number {
    if (this.#done.length > 0) return -Infinity;
    const playing = this.#clips[0];
    return playing === undefined ? Infinity : this.queue.msAt(playing.end);
  }

  /**
   * @param clip - audio at the playback's rate
   * @returns false when the queue was full and the clip is lost
   */
  play(
    clip: { readonly id?: string; readonly audio: Int16Array; readonly queued: boolean },
    nowMs: number,
  ): boolean {
    this.#catchUp(nowMs);
    if (!clip.queued) this.kill(nowMs);
    if (this.#clips.length > maxQueuedClips) return false;
    const start = this.queue.append(clip.audio, nowMs) ?? this.queue.end;
    this.#clips.push({ id: clip.id, start, end: start + clip.audio.length });
    return true;
  }

  kill(nowMs: number): void {
    this.#catchUp(nowMs);
    const now = this.queue.sampleAt(nowMs);
    const playing = this.#clips[0];
    if (playing !== undefined) this.#done.push({ id: playing.id, playedSamples: now - playing.start });
    this.#clips.length = 0;
    this.queue.clear(nowMs);
  }

  advance(nowMs: number): readonly ClipDone[] {
    this.#catchUp(nowMs);
    const done = this.#done;
    if (done.length > 0) this.#done = [];
    return done;
  }

  finish(nowMs: number): void {
    this.queue.finish(nowMs);
    this.#clips.length = 0;
    this.#done = [];
  }

  heard(nowMs: number): Piece<Int16Array>[] {
    return this.queue.heard(nowMs);
  }

  #catchUp(nowMs: number): void {
    const now = this.queue.sampleAt(nowMs);
    for (let clip = this.#clips[0]; clip !== undefined && clip.end <= now; clip = this.#clips[0]) {
      this.#clips.shift();
      this.#done.push({ id: clip.id, playedSamples: clip.end - clip.start });
    }
  }
}
