import type { Config } from '../config/Config.js';
import type { TapAddress } from '../tap/Tap.js';
import { FastSocket } from './FastSocket.js';
import type { LiveLinkOptions, LiveLinkOwner } from './LiveLoop.js';
import type { MediaSocket } from './MediaSocket.js';

/** What a call's frames are, as its dialect and its account have it. */
export type CallFrames = Omit<LiveLinkOptions, 'call' | 'stream' | 'isMuted' | 'botBytes' | 'providerBytes'>;

/** What the path has to know of the call's tap, and tell it. */
export interface CallPathTap {
  /** Null: the call's beginning isn't written yet, or half a sample waits for its other half. */
  readonly address: TapAddress | null;
  /** The recording is paused: of the audio only its length is told. */
  readonly isMuted: boolean;
  /** Audio has come that doesn't end with a whole sample. */
  readonly isSplit: boolean;
  missed(records: number, sinceMs: number): void;
}

/**
 * The way that a call's frames take: from socket to socket in the native thread, or through this one. The thread passes on plain media
 * alone; every other message comes here first, and what follows it waits for that, so both ways give the same messages in the same order.
 *
 * A call begins here, and changes over as soon as both of its sockets are the thread's. It comes back when one of them closes; when the
 * stream ends; for good when a message of raw audio ends in half a sample, because the rest of it comes with the next one; and for a
 * moment when the recording is paused, or goes on.
 */
export class CallPath implements LiveLinkOwner {
  readonly #provider: MediaSocket;
  readonly #frames: CallFrames;
  readonly #limits: Config['limits'];
  readonly #tap: CallPathTap;
  readonly #onOverflow: (isOverflowing: boolean) => void;
  #unlink: (() => void) | null = null;
  #isOver = false;
  #waiting: (() => void)[] = [];

  constructor(options: {
    readonly provider: MediaSocket;
    readonly frames: CallFrames;
    readonly limits: Config['limits'];
    readonly tap: CallPathTap;
    readonly onOverflow: (isOverflowing: boolean) => void;
  }) {
    this.#provider = options.provider;
    this.#frames = options.frames;
    this.#limits = options.limits;
    this.#tap = options.tap;
    this.#onOverflow = options.onOverflow;
  }

  /** To be called whenever a message was handled here, and when the bot's socket was opened. @param bot - undefined: not open */
  choose(bot: MediaSocket | undefined): void {
    if (this.#isOver) return;
    if (this.#tap.isSplit) this.leave();
    else if (this.#unlink === null) this.#enter(bot);
  }

  /**
   * Frames come here from now on. @param then - called when the last one that the thread has passed on is written down: at once where
   * it passes none on
   */
  leave(then?: () => void): void {
    this.#isOver = true;
    this.comeBack(then);
  }

  /** The same for a moment: the call changes over again with the next message that is handled here, if it may. */
  comeBack(then: () => void = () => undefined): void {
    if (this.#unlink === null) then();
    else {
      this.#waiting.push(then);
      this.#unlink();
    }
  }

  overflow(isOverflowing: boolean): void {
    this.#onOverflow(isOverflowing);
  }

  unlinked(missed: number, sinceMs: number): void {
    this.#unlink = null;
    if (missed > 0) this.#tap.missed(missed, sinceMs);
    for (const then of this.#waiting.splice(0)) then();
  }

  #enter(bot: MediaSocket | undefined): void {
    const provider = this.#provider;
    if (!(provider instanceof FastSocket) || !(bot instanceof FastSocket)) return;
    const { address, isMuted } = this.#tap;
    if (address === null || !provider.isOpen || !bot.isOpen) return;
    const { upstreamBufferBytes: botBytes, providerBufferBytes: providerBytes } = this.#limits;
    this.#unlink = provider.link(
      bot,
      { ...this.#frames, ...address, isMuted, botBytes, providerBytes },
      this,
    );
  }
}
