import { samplesOf } from '../audio/pcm.js';
import { Resampler } from '../audio/Resampler.js';
import { jambonzMark, jambonzPlayDone } from '../providers/jambonz/messages.js';
import { readClip } from '../providers/jambonz/clip.js';
import { ClipPlayback } from './ClipPlayback.js';
import type { Receipt } from './CallResult.js';
import type { MarkEcho, Piece } from './PlaybackQueue.js';
import { StreamingPlayback } from './StreamingPlayback.js';

export interface JambonzReturnOptions {
  /** How audio may come back: streaming (binary), playAudio (clips), or not at all. */
  readonly returns: 'streaming' | 'playAudio' | 'none';
  /** Rate of the stream towards the server, Hz. */
  readonly sampleRate: number;
  /** Rate of streamed audio that comes back, Hz. */
  readonly returnSampleRate: number;
  readonly legSampleRate: number;
}

/** What became of a message from the server. */
export type Reaction =
  | { readonly kind: 'audio'; readonly receipt: Receipt; readonly payload: Uint8Array }
  | { readonly kind: 'mark'; readonly name: string }
  | { readonly kind: 'clear' }
  | { readonly kind: 'disconnect' }
  | { readonly kind: 'ignored' }
  | { readonly kind: 'violation'; readonly code: string; readonly reason: string };

/** A message that the playback wants sent, and the mark echo that it is, if it is one. */
export interface Report {
  readonly text: string;
  readonly echo: MarkEcho | null;
}

const ignored: Reaction = { kind: 'ignored' };

/** Types that the client passes on as events to which nobody listens. */
const noOps: readonly unknown[] = ['transcription', 'transfer', 'json', 'error', undefined];

/** The side of a jambonz fork that takes audio and commands from the server: one model for each way audio comes back. */
export class JambonzPlayback {
  readonly #options: JambonzReturnOptions;
  readonly streaming: StreamingPlayback;
  readonly clips: ClipPlayback;
  #carry: Uint8Array = new Uint8Array(0);

  constructor(options: JambonzReturnOptions) {
    this.#options = options;
    this.streaming = new StreamingPlayback({
      sampleRate: options.returnSampleRate,
      legSampleRate: options.legSampleRate,
    });
    this.clips = new ClipPlayback(options.sampleRate);
  }

  /** Rate of what is heard, Hz. Clips of another rate are resampled to the stream's when they arrive. */
  get sampleRate(): number {
    return this.#options.returns === 'streaming' ? this.#options.returnSampleRate : this.#options.sampleRate;
  }

  get dueMs(): number {
    return Math.min(this.streaming.dueMs, this.clips.dueMs);
  }

  receive(data: Buffer, isBinary: boolean, nowMs: number): Reaction {
    if (this.#options.returns === 'none')
      return violation('returns_none', 'a message on a socket that only listens');
    return isBinary ? this.#binary(data, nowMs) : this.#text(data, nowMs);
  }

  report(nowMs: number): Report[] {
    const marks = this.streaming.advance(nowMs).map((echo) => ({
      text: jambonzMark(echo.name, echo.cleared ? 'cleared' : 'playout'),
      echo,
    }));
    const clips = this.clips.advance(nowMs).map(({ id, playedSamples }) => ({
      text: jambonzPlayDone(id ?? null, (playedSamples * 1000) / this.#options.sampleRate),
      echo: null,
    }));
    return [...marks, ...clips];
  }

  /** What plays as ordinary written frames, and so reaches the fork's own right channel: clips, never streamed audio. */
  readWritten(sampleStart: number, target: Int16Array): void {
    this.clips.queue.read(sampleStart, target);
  }

  finish(nowMs: number): readonly Piece<Int16Array>[] {
    const playback = this.#options.returns === 'streaming' ? this.streaming : this.clips;
    playback.finish(nowMs);
    return playback.heard(nowMs);
  }

  #binary(data: Buffer, nowMs: number): Reaction {
    if (this.#options.returns !== 'streaming') {
      return violation('binary_not_streaming', 'binary audio without streaming; it only fills memory');
    }
    const whole = this.#carry.length === 0 ? data : Buffer.concat([this.#carry, data]);
    // An odd byte waits for its other half in the next message.
    this.#carry = Uint8Array.prototype.slice.call(whole, whole.length - (whole.length % 2));
    const pcm = samplesOf(whole);
    const { queue } = this.streaming;
    const before = queue.appended;
    this.streaming.append(pcm, nowMs);
    const sampleStart = queue.appended === before ? null : queue.end - pcm.length;
    return { kind: 'audio', receipt: { atMs: nowMs, sampleStart, samples: pcm.length }, payload: data };
  }

  #text(data: Buffer, nowMs: number): Reaction {
    const message = objectOf(data);
    if (message === null) return violation('text_not_json', 'text that is not a JSON object');
    const body = isObject(message['data']) ? message['data'] : {};
    switch (message['type']) {
      case 'playAudio':
        return this.#playAudio(body, nowMs);
      case 'killAudio':
        this.streaming.clear(nowMs);
        this.clips.kill(nowMs);
        return { kind: 'clear' };
      case 'mark':
        return this.#mark(body['name'], nowMs);
      case 'clearMarks':
        this.streaming.forgetMarks();
        return ignored;
      case 'disconnect':
        return { kind: 'disconnect' };
      default:
        return noOps.includes(message['type'])
          ? ignored
          : violation('type_unknown', 'a type that does not exist');
    }
  }

  #mark(name: unknown, nowMs: number): Reaction {
    if (typeof name !== 'string') return violation('mark_invalid', 'a mark without a name');
    const known = this.#options.returns !== 'streaming' || this.streaming.mark(name, nowMs);
    return known ? { kind: 'mark', name } : violation('marks_exceeded', 'more than 30 marks outstanding');
  }

  #playAudio(body: Record<string, unknown>, nowMs: number): Reaction {
    if (this.#options.returns === 'streaming') {
      return violation('play_audio_streaming', 'playAudio on a fork that streams');
    }
    const clip = readClip(body);
    if (clip.kind === 'invalid') return violation('play_audio_invalid', clip.code);
    const audio = this.#atStreamRate(samplesOf(clip.payload), clip.sampleRate);
    const id = clip.id === null ? {} : { id: clip.id };
    const { queue } = this.clips;
    if (!this.clips.play({ ...id, audio, queued: clip.queued }, nowMs)) {
      return violation('clips_exceeded', 'more than 11 clips queued; this one is lost');
    }
    const receipt = { atMs: nowMs, sampleStart: queue.end - audio.length, samples: audio.length };
    return { kind: 'audio', receipt, payload: clip.payload };
  }

  #atStreamRate(pcm: Int16Array, from: number): Int16Array {
    if (from === this.#options.sampleRate) return pcm;
    const resampler = new Resampler(from, this.#options.sampleRate);
    const [body, tail] = [resampler.push(pcm), resampler.flush()];
    const whole = new Int16Array(body.length + tail.length);
    whole.set(body);
    whole.set(tail, body.length);
    return whole;
  }
}

function violation(code: string, reason: string): Reaction {
  return { kind: 'violation', code, reason };
}

function objectOf(data: Buffer): Record<string, unknown> | null {
  try {
    const message: unknown = JSON.parse(data.toString('utf8'));
    return isObject(message) ? message : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
