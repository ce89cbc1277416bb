import { type Api, recordingPath } from './Api.js';
import { element } from './element.js';

/** What is heard: both parties as they were recorded, one of them, or their sum; in a room all, or one lane. */
export type Selection = 'all' | '0' | '1' | 'mix' | `lane:${string}`;

export function selectionOf(lane: string): Selection {
  return `lane:${lane}`;
}

/** What of the audio is asked for, as the API takes it. */
export function queryFor(selection: Selection): URLSearchParams {
  if (selection === 'all') return new URLSearchParams();
  return selection.startsWith('lane:')
    ? new URLSearchParams({ lane: selection.slice('lane:'.length) })
    : new URLSearchParams({ channel: selection });
}

/** What the player tells of itself. */
export interface PlayerListeners {
  /** It plays, pauses, waits, or is somewhere else. */
  readonly changed: () => void;
  readonly failed: (error: Error) => void;
}

/** How far a recording goes. */
export interface Extent {
  /** Per channel. */
  readonly samples: number;
  readonly sampleRate: number;
  readonly channels: number;
  /** More is to come. */
  readonly isLive: boolean;
}

/** Of a running call so much is waited for at the end of what there is, s: each piece is a request of its own. */
const leastPieceSeconds = 2;
export const speeds = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3] as const;

/**
 * Plays a recording through an audio element. While the call is up the element is given what there is so far, which has a length of its
 * own, and at the end of that the next longer piece, from where it was.
 */
export class Player {
  readonly audio = element('audio', { preload: 'metadata' });
  readonly #api: Api;
  readonly #path: string;
  readonly #to: PlayerListeners;
  #extent: Extent = { samples: 0, sampleRate: 8000, channels: 2, isLive: true };
  /** What the element was given. */
  #loadedSamples = 0;
  #selection: Selection = 'all';
  /** Where it will be once the element has loaded, s; null: it is where it says. */
  #aim: number | null = null;
  #wantsToPlay = false;
  #isWaiting = false;

  constructor(api: Api, recordingId: string, listeners: PlayerListeners) {
    this.#api = api;
    this.#path = `${recordingPath(recordingId)}/audio.wav`;
    this.#to = listeners;
    for (const event of ['play', 'pause', 'timeupdate', 'seeked', 'ratechange'])
      this.audio.addEventListener(event, () => listeners.changed());
    this.audio.addEventListener('loadedmetadata', () => this.#takeAim());
    this.audio.addEventListener('ended', () => this.#ended());
    this.audio.addEventListener('error', () => void this.#explain());
  }

  /** What there is by now. */
  extend(extent: Extent): void {
    this.#extent = extent;
    if (extent.samples === 0) return;
    if (this.#loadedSamples === 0) this.#load(this.#aim ?? 0);
    else if (this.#isWaiting) this.#goOn();
  }

  /** s. */
  get position(): number {
    return this.#aim ?? this.audio.currentTime;
  }

  /** s. */
  get duration(): number {
    return this.#extent.samples / this.#extent.sampleRate;
  }

  /** More is to come. */
  get isLive(): boolean {
    return this.#extent.isLive;
  }

  /** It plays, or will as soon as it can. */
  get isPlaying(): boolean {
    return this.#wantsToPlay;
  }

  /** At the end of a running call, for more to come. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  get selection(): Selection {
    return this.#selection;
  }

  get speed(): number {
    return this.audio.playbackRate;
  }

  toggle(): void {
    if (this.#wantsToPlay) this.pause();
    else this.play();
  }

  play(): void {
    this.#wantsToPlay = true;
    const isAtEnd = !this.#extent.isLive && this.position >= this.duration - 0.05;
    if (isAtEnd) this.seek(0);
    else if (this.audio.ended) this.#goOn();
    else this.#start();
    this.#to.changed();
  }

  pause(): void {
    this.#wantsToPlay = false;
    this.#isWaiting = false;
    this.audio.pause();
    this.#to.changed();
  }

  /** @param seconds - is kept within what there is */
  seek(seconds: number): void {
    if (this.#extent.samples === 0) {
      this.#aim = Math.max(0, seconds);
      return;
    }
    const target = Math.min(Math.max(0, seconds), this.duration);
    this.#isWaiting = false;
    if (target * this.#extent.sampleRate > this.#loadedSamples || this.#loadedSamples === 0)
      this.#load(target);
    else if (this.audio.readyState === HTMLMediaElement.HAVE_NOTHING) this.#aim = target;
    else {
      this.audio.currentTime = target;
      if (this.#wantsToPlay) this.#start();
    }
    this.#to.changed();
  }

  /** Of one channel there is nothing to choose from, but in a room. */
  select(selection: Selection): void {
    const isLane = [selection, this.#selection].some((each) => each.startsWith('lane:'));
    if (selection === this.#selection || (this.#extent.channels < 2 && !isLane)) return;
    this.#selection = selection;
    if (this.#loadedSamples > 0) this.#load(this.position);
    this.#to.changed();
  }

  setSpeed(speed: number): void {
    // A new piece begins with the default.
    this.audio.defaultPlaybackRate = speed;
    this.audio.playbackRate = speed;
  }

  /** @param by - 1: the next faster speed, -1: the next slower one */
  changeSpeed(by: 1 | -1): void {
    const at = speeds.findIndex((speed) => speed >= this.speed - 0.001);
    const next = speeds[Math.min(Math.max(0, at + by), speeds.length - 1)];
    if (next !== undefined) this.setSpeed(next);
  }

  /** Gives up what it has loaded. */
  stop(): void {
    this.#wantsToPlay = false;
    this.audio.pause();
    this.audio.removeAttribute('src');
    this.audio.load();
  }

  /** Where the audio is that it plays, with its channels and, of a running call, its length. */
  get url(): string {
    const query = queryFor(this.#selection);
    // So that each address has one content, and nothing that was loaded under it is ever out of date.
    if (this.#extent.isLive) query.set('to', String(this.#loadedSamples));
    const asked = query.toString();
    return asked === '' ? this.#path : `${this.#path}?${asked}`;
  }

  #load(atSeconds: number): void {
    this.#loadedSamples = this.#extent.samples;
    this.#isWaiting = false;
    this.#aim = atSeconds;
    this.audio.src = this.url;
    this.audio.load();
  }

  #takeAim(): void {
    const aim = this.#aim;
    this.#aim = null;
    if (aim !== null && aim > 0) this.audio.currentTime = Math.min(aim, this.audio.duration);
    if (this.#wantsToPlay) this.#start();
    this.#to.changed();
  }

  #start(): void {
    // It says no where nobody has touched the page yet; and a load that comes in between breaks off the one before.
    this.audio.play().catch((error: unknown) => {
      if ((error as Error).name !== 'NotAllowedError') return;
      this.#wantsToPlay = false;
      this.#to.changed();
    });
  }

  #ended(): void {
    if (this.#wantsToPlay) this.#goOn();
    this.#to.changed();
  }

  /** At the end of a piece. */
  #goOn(): void {
    const { samples, sampleRate, isLive } = this.#extent;
    const more = (samples - this.#loadedSamples) / sampleRate;
    if (more >= leastPieceSeconds || (!isLive && more > 0)) this.#load(this.#loadedSamples / sampleRate);
    else if (isLive) this.#isWaiting = true;
    else {
      this.#wantsToPlay = false;
      this.#isWaiting = false;
    }
    this.#to.changed();
  }

  async #explain(): Promise<void> {
    if (!this.audio.hasAttribute('src')) return;
    const reason = await this.#api.whyNot(this.url);
    this.#wantsToPlay = false;
    const unplayable = new Error(this.audio.error?.message ?? 'The browser cannot play this.');
    this.#to.failed(reason ?? unplayable);
    this.#to.changed();
  }
}
