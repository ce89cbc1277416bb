import { ReelayError } from '../config/ReelayError.js';
import type { RecordingSwitch } from '../tap/RecordingRequest.js';
import type { CallTap } from '../tap/Tap.js';
import type { PauseMode } from '../tap/TapRecord.js';
import { silentCall } from './SilentTap.js';

/** What of a call is kept, as it is known when that begins. */
export interface BegunRecording {
  readonly recordingId: string;
  readonly tap: CallTap;
  /** False: it is written down that there was a call, and why nothing is kept of it. */
  readonly keepsAudio: boolean;
}

/** A stream of the call, as its recording knows it. */
export interface RecordedStream {
  /** Has its frames handled here for a moment. `then` is called when the last one that was passed on elsewhere is written down. */
  comeBack(then: () => void): void;
  /** The recording begins in the middle of it, or ends there. */
  beginRecording(): void;
  endRecording(): void;
}

/**
 * Whether a call is being recorded just now. While it is paused nobody is told what is said, only for how long: neither ring nor
 * journal ever hold the audio of a pause. What is asked for happens in the order in which it was asked.
 */
export class CallRecording {
  /** Null: it has been called, or never will be. */
  #begin: (() => BegunRecording) | null;
  readonly #streams: () => Iterable<RecordedStream>;
  #begun: BegunRecording | null;
  #state: RecordingSwitch;
  #isAnnounced = false;
  #isUnannouncedTold = false;
  #isOver = false;
  #isEnded = false;
  #turn: Promise<void> = Promise.resolve();
  /** What is being done and what waits for it, and how many of these are pauses. */
  #turns = 0;
  #pausing = 0;

  /**
   * @param begin - null: the call is never recorded
   * @param isAwaited - it begins when somebody asks for it, and now otherwise
   */
  constructor(
    begin: (() => BegunRecording) | null,
    isAwaited: boolean,
    streams: () => Iterable<RecordedStream>,
  ) {
    this.#begin = isAwaited ? begin : null;
    this.#streams = streams;
    this.#begun = isAwaited ? null : (begin?.() ?? null);
    this.#state = this.#begun?.keepsAudio === true ? 'running' : this.#begin !== null ? 'awaited' : 'off';
  }

  get state(): RecordingSwitch {
    return this.#state;
  }

  /** Null as long as there is none. */
  get recordingId(): string | null {
    return this.#begun?.recordingId ?? null;
  }

  /** Where the call's streams are told of, also of a call of which no audio is kept and that is written down. */
  get tap(): CallTap {
    return this.#state === 'stopped' ? silentCall : (this.#begun?.tap ?? silentCall);
  }

  /** Whether anything of the call is to be handed to the tap at all. */
  get keepsAudio(): boolean {
    return this.#state === 'running' || this.#state === 'paused';
  }

  /** The same, or it may yet be: half a sample that comes before the recording begins belongs to the one that comes then. */
  get mayKeepAudio(): boolean {
    return this.keepsAudio || this.#state === 'awaited';
  }

  /** Of what is handed to the tap only the length may be. */
  get isMuted(): boolean {
    return this.#state === 'paused' || this.#pausing > 0;
  }

  /** Whether the call's parties still have to be told that it is recorded. */
  get isToBeAnnounced(): boolean {
    return this.keepsAudio && !this.#isAnnounced;
  }

  /**
   * They are told now; or can't be on this one of the call's streams, and perhaps on another that comes later.
   *
   * @returns whether that is new
   */
  announced(isPlayable: boolean): boolean {
    if (isPlayable) this.#isAnnounced = true;
    else if (this.#isUnannouncedTold) return false;
    else this.#isUnannouncedTold = true;
    return true;
  }

  /** @throws ReelayError `recording_not_live`; `recording_failed` when it can't be kept */
  async start(): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#begin === null || this.#isOver) throw this.#wrong();
      this.#begun = this.#begin();
      this.#begin = null;
      this.#state = this.#begun.keepsAudio ? 'running' : 'off';
      if (!this.keepsAudio) throw new ReelayError('recording_failed', { value: this.#begun.recordingId });
      for (const stream of this.#streams()) stream.beginRecording();
      await this.#comeBack();
    });
  }

  /** @throws ReelayError `recording_not_live` */
  async pause(mode: PauseMode): Promise<void> {
    this.#pausing++;
    const paused = this.#inTurn(async () => {
      if (this.#state === 'paused') return;
      this.#insist();
      this.#state = 'paused';
      // Where frames are passed on elsewhere they are still being written down.
      await this.#comeBack();
      if (!this.#isOver) this.#begun?.tap.pause({ paused: true, mode }, performance.now());
    });
    await paused.finally(() => this.#pausing--);
  }

  /** @throws ReelayError `recording_not_live` */
  async resume(): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#state === 'running') return;
      this.#insist();
      this.#state = 'running';
      this.#begun?.tap.pause({ paused: false }, performance.now());
      await this.#comeBack();
    });
  }

  /** Ends it, while the call goes on. @throws ReelayError `recording_not_live` */
  async stop(): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#state === 'stopped') return;
      this.#insist();
      this.#state = 'stopped';
      await this.#comeBack();
      if (this.#isOver || this.#begun === null) return;
      const { tap } = this.#begun;
      tap.event({ type: 'recording_stopped' }, performance.now());
      for (const stream of this.#streams()) stream.endRecording();
      this.#end(true);
    });
  }

  /** The call is over. @param reason - why its end was missed, where that is known */
  end(ended: boolean, reason?: string): void {
    this.#isOver = true;
    this.#end(ended || this.#state === 'stopped', reason);
  }

  #end(ended: boolean, reason?: string): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    const why = ended || reason === undefined ? {} : { reason };
    this.#begun?.tap.end({ ended, ...why }, performance.now());
  }

  /** At once where nothing is under way: what a bot says behind its message must find it done. */
  async #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turns++ === 0 ? work() : this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    try {
      await turn;
    } finally {
      this.#turns--;
    }
  }

  async #comeBack(): Promise<void> {
    const streams = [...this.#streams()];
    await Promise.all(
      streams.map((stream) => new Promise<void>((resolve) => stream.comeBack(() => resolve()))),
    );
  }

  #insist(): void {
    if (this.#isOver || !this.keepsAudio) throw this.#wrong();
  }

  #wrong(): ReelayError {
    return new ReelayError('recording_not_live', { value: this.#isOver ? 'its call is over' : this.#state });
  }
}
