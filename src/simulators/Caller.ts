import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import { frameMs, type CallerAudio } from './CallerAudio.js';
import type { CallerOptions } from './CallerOptions.js';
import { CallSchedule } from './CallSchedule.js';
import {
  writeHeardWav,
  type CallResult,
  type HeardPiece,
  type Receipt,
  type SentFrame,
  type StreamResult,
  type Violation,
} from './CallResult.js';
import { LatencyMeter } from './LatencyMeter.js';
import { Metronome, type Rider } from './Metronome.js';
import type { MarkEcho } from './PlaybackQueue.js';

export interface CallerEvents {
  /** A stream's socket is open and its start message sent. `index` counts the call's streams. */
  open: [{ readonly index: number; readonly streamSid: string | null }];
  media: [Receipt];
  mark: [{ readonly name: string; readonly atMs: number }];
  clear: [{ readonly atMs: number }];
  echo: [MarkEcho & { readonly sentMs: number }];
  violation: [Violation];
  /** A stream's socket is closed. */
  closed: [StreamResult];
}

/** A stream while it runs. */
export interface LiveStream {
  readonly index: number;
  readonly streamSid: string | null;
  readonly socket: WebSocket;
  readonly startMs: number;
  readonly startWallMs: number;
  /** Frames of the call's clock that went by before this stream began. */
  readonly firstFrame: number;
  /** Next frame of this stream. */
  nextFrame: number;
  readonly frames: SentFrame[];
  readonly receipts: Receipt[];
  readonly echoes: (MarkEcho & { readonly sentMs: number })[];
  endMs: number | null;
  closedBy: StreamResult['closedBy'];
}

const closeTimeoutMs = 2000;

/**
 * A caller as the provider would bring it: dials, speaks in real time, plays back what the bot sends, and knows exactly what
 * was said and heard and when. Frames keep a schedule without drift: frame i leaves when its last sample exists, at start +
 * (i + 1) × 20 ms, and if the event loop was late the missed ones leave at once.
 */
export abstract class Caller extends EventEmitter<CallerEvents> implements Rider {
  abstract readonly provider: 'twilio' | 'jambonz';
  readonly callSid: string;
  readonly accountSid: string;
  readonly options: CallerOptions;
  dueMs = Infinity;
  protected readonly latency = new LatencyMeter();
  protected readonly script: CallSchedule;
  protected stream: LiveStream | null = null;
  readonly #metronome: Metronome;
  readonly #streams: StreamResult[] = [];
  readonly #violations: Violation[] = [];
  #refused: CallResult['refused'] = null;
  #firstStartMs: number | null = null;
  #framesSent = 0;
  #maxBufferedBytes = 0;
  #dialling: WebSocket | undefined;
  #redial: NodeJS.Timeout | undefined;
  #over = false;
  #finished: Promise<CallResult> | undefined;
  #resolve: (result: CallResult) => void = () => undefined;

  protected constructor(
    options: CallerOptions,
    ids: { readonly callSid: string; readonly accountSid: string },
  ) {
    super();
    this.options = options;
    this.callSid = ids.callSid;
    this.accountSid = ids.accountSid;
    this.#metronome = options.metronome ?? Metronome.shared;
    this.script = new CallSchedule(options, options.seconds);
  }

  protected abstract readonly sampleRate: number;
  protected abstract readonly channels: 1 | 2;
  protected abstract readonly audio: CallerAudio;
  /** Earliest time at which the playback has something to say, ms on the stream's clock. */
  protected abstract readonly playbackDueMs: number;
  protected abstract dial(): WebSocket;
  /** Sends the start message(s); returns the stream's id. Time zero is when it returns. */
  protected abstract sendStart(socket: WebSocket): string | null;
  /** Sends frames [from, to) of the stream, all of which are complete. */
  protected abstract sendFrames(stream: LiveStream, from: number, to: number): void;
  protected abstract sendDigit(stream: LiveStream, digit: string): void;
  protected abstract sendStop(stream: LiveStream): void;
  protected abstract receive(stream: LiveStream, data: Buffer, isBinary: boolean, nowMs: number): void;
  /** Sends what the playback has to report. */
  protected abstract reportPlayback(stream: LiveStream, nowMs: number): void;
  /** Ends the playback and says what of it was heard. */
  protected abstract finishPlayback(nowMs: number): HeardPiece[];

  /** Makes the call; resolves when its last socket is closed, also when none could be opened. */
  call(): Promise<CallResult> {
    this.#finished ??= new Promise((resolve) => {
      this.#resolve = resolve;
      if (this.#over) this.#finish();
      else this.#connect();
    });
    return this.#finished;
  }

  /** Ends the call now, as a caller who hangs up. */
  hangUp(): void {
    this.#over = true;
    clearTimeout(this.#redial);
    if (this.stream !== null) this.#stop(this.stream);
    else if (this.#dialling !== undefined) this.#dialling.terminate();
    else this.#finish();
  }

  /** Destroys the TCP connection: no stop message, no close frame. */
  vanish(): void {
    this.#over = true;
    if (this.stream === null) return;
    this.#endAt(this.stream, this.nowMs(this.stream), 'vanished');
    this.stream.socket.terminate();
  }

  /** Stops reading from the socket, as a provider that is overloaded. */
  pauseReading(): void {
    this.stream?.socket.pause();
  }

  resumeReading(): void {
    this.stream?.socket.resume();
  }

  /** The call so far, or as it was. Live streams are not in it. */
  result(): CallResult {
    return {
      provider: this.provider,
      callSid: this.callSid,
      accountSid: this.accountSid,
      sampleRate: this.sampleRate,
      channels: this.channels,
      streams: this.#streams,
      refused: this.#refused,
      violations: this.#violations,
      framesSent: this.#framesSent,
      latency: this.latency.summary(),
      latencySamples: this.latency.samples,
      maxBufferedBytes: this.#maxBufferedBytes,
    };
  }

  /** Writes two channels: what the caller said and what it heard. */
  async heardWav(file: string): Promise<void> {
    await writeHeardWav(this.result(), file);
  }

  run(): void {
    const stream = this.stream;
    if (stream === null) return;
    const nowMs = this.nowMs(stream);
    const stalledUntil = this.#stalledUntil(stream, nowMs);
    if (stalledUntil !== null) this.dueMs = stream.startMs + stalledUntil;
    else this.#proceed(stream, nowMs);
  }

  protected nowMs(stream: LiveStream): number {
    return performance.now() - stream.startMs;
  }

  protected violation(stream: LiveStream, code: string, reason: string, data: Buffer | string): void {
    const text = typeof data === 'string' ? data : data.toString('utf8', 0, 400);
    const value = text.length > 200 ? `${text.slice(0, 200)}…` : text;
    const violation = { code, reason, atMs: this.nowMs(stream), value };
    this.#violations.push(violation);
    this.emit('violation', violation);
  }

  protected note(stream: LiveStream, frame: SentFrame): void {
    stream.frames.push(frame);
    this.#framesSent += 1;
    this.#maxBufferedBytes = Math.max(this.#maxBufferedBytes, stream.socket.bufferedAmount);
  }

  protected echoed(stream: LiveStream, echo: MarkEcho): void {
    const sent = { ...echo, sentMs: this.nowMs(stream) };
    stream.echoes.push(sent);
    this.emit('echo', sent);
  }

  protected received(stream: LiveStream, receipt: Receipt): void {
    stream.receipts.push(receipt);
    this.emit('media', receipt);
  }

  /** When a frame of a stream begins on the call's clock. */
  protected callMs(stream: LiveStream, frame: number): number {
    return (stream.firstFrame + frame) * frameMs;
  }

  #proceed(stream: LiveStream, nowMs: number): void {
    const last = this.#lastFrame(stream);
    const complete = Math.min(Math.floor(nowMs / frameMs), last);
    // The server is closing: nothing arrives any more.
    if (stream.socket.readyState !== WebSocket.OPEN) {
      this.dueMs = Infinity;
      return;
    }
    if (complete > stream.nextFrame) {
      const from = stream.nextFrame;
      stream.nextFrame = complete;
      this.#say(stream, from, complete);
    }
    this.reportPlayback(stream, nowMs);
    if (this.stream !== stream || stream.endMs !== null) return;
    if (complete >= last) this.#endByScript(stream, last);
    else this.schedule(stream);
  }

  /** Who comes late sends many frames at once, and each key still where it was pressed. */
  #say(stream: LiveStream, from: number, complete: number): void {
    for (let next = from; next < complete;) {
      const pressed = Math.ceil(this.script.nextDigitMs / frameMs) - stream.firstFrame;
      const to = Math.min(Math.max(pressed, next + 1), complete);
      this.sendFrames(stream, next, to);
      for (const digit of this.script.takeDigits(this.callMs(stream, to))) this.sendDigit(stream, digit);
      next = to;
    }
  }

  protected schedule(stream: LiveStream): void {
    const nextMs = Math.min((stream.nextFrame + 1) * frameMs, this.playbackDueMs);
    this.dueMs = stream.startMs + nextMs;
    this.#metronome.wake(this.dueMs);
  }

  /** First frame that is not sent any more: the call, or this stream of it, ends there. */
  #lastFrame(stream: LiveStream): number {
    return Math.max(0, Math.round(this.script.endMs / frameMs) - stream.firstFrame);
  }

  #endByScript(stream: LiveStream, last: number): void {
    const ending = this.script.endingAt(this.callMs(stream, last));
    if (ending === 'vanish') this.vanish();
    else if (ending === 'restart') this.#stop(stream);
    else this.hangUp();
  }

  #stalledUntil(stream: LiveStream, nowMs: number): number | null {
    const offsetMs = this.callMs(stream, 0);
    const until = this.script.stalledUntil(nowMs + offsetMs);
    return until === null ? null : until - offsetMs;
  }

  #connect(): void {
    const socket = this.dial();
    this.#dialling = socket;
    socket.on('open', () => this.#begin(socket));
    socket.on('unexpected-response', (_request, response: IncomingMessage) => {
      this.#refuse(response.statusCode ?? null, response.statusMessage ?? '');
      response.destroy();
      socket.terminate();
    });
    socket.on('error', (error) => {
      if (this.stream?.socket === socket) this.violation(this.stream, '31924', error.message, '');
      else this.#refuse(null, error.message || 'the connection failed');
    });
    socket.on('close', (code, reason) => this.#closed(socket, code, reason.toString()));
  }

  #refuse(status: number | null, reason: string): void {
    this.#refused ??= { status, reason };
  }

  #begin(socket: WebSocket): void {
    const streamSid = this.sendStart(socket);
    const startMs = performance.now();
    this.#firstStartMs ??= startMs;
    const stream: LiveStream = {
      index: this.#streams.length,
      streamSid,
      socket,
      startMs,
      startWallMs: performance.timeOrigin + startMs,
      firstFrame: Math.round((startMs - this.#firstStartMs) / frameMs),
      nextFrame: 0,
      frames: [],
      receipts: [],
      echoes: [],
      endMs: null,
      closedBy: 'server',
    };
    this.#dialling = undefined;
    this.stream = stream;
    socket.on('message', (data, isBinary) => this.#receive(stream, data as Buffer, isBinary));
    this.dueMs = startMs + frameMs;
    this.#metronome.add(this);
    this.emit('open', { index: stream.index, streamSid });
  }

  #receive(stream: LiveStream, data: Buffer, isBinary: boolean): void {
    if (stream.endMs !== null) return;
    this.receive(stream, data, isBinary, this.nowMs(stream));
    if (this.#stalledUntil(stream, this.nowMs(stream)) !== null) return;
    this.reportPlayback(stream, this.nowMs(stream));
    this.schedule(stream);
  }

  #stop(stream: LiveStream): void {
    if (stream.endMs !== null) return;
    this.sendStop(stream);
    this.#endAt(stream, this.nowMs(stream), 'caller');
    stream.socket.close(1000);
    setTimeout(() => stream.socket.terminate(), closeTimeoutMs).unref();
  }

  #endAt(stream: LiveStream, endMs: number, closedBy: StreamResult['closedBy']): void {
    if (stream.endMs !== null) return;
    stream.endMs = endMs;
    stream.closedBy = closedBy;
    this.dueMs = Infinity;
    this.#metronome.remove(this);
  }

  #closed(socket: WebSocket, closeCode: number, closeReason: string): void {
    this.#dialling = undefined;
    const stream = this.stream;
    if (stream?.socket !== socket) {
      this.#finish();
      return;
    }
    this.#endAt(stream, this.nowMs(stream), 'server');
    const endMs = stream.endMs ?? 0;
    this.stream = null;
    const { streamSid, startMs, startWallMs, frames, receipts, echoes, closedBy } = stream;
    const heard = this.finishPlayback(endMs);
    const times = { streamSid, startMs, startWallMs, endMs };
    const done = { ...times, frames, heard, receipts, echoes, closeCode, closeReason, closedBy };
    this.#streams.push(done);
    this.emit('closed', done);
    this.#goOn(done);
  }

  /** A stream that the script ended early is followed by the next one. */
  #goOn(done: StreamResult): void {
    const restart = this.script.takeRestart();
    if (restart === undefined || this.#over || done.closedBy !== 'caller') this.#finish();
    else {
      const dialAtMs = done.startMs + done.endMs + restart.afterMs;
      // Timers may fire a fraction of a millisecond early; a seam is never shorter than was asked for.
      this.#redial = setTimeout(() => this.#connect(), Math.ceil(dialAtMs - performance.now()) + 1);
    }
  }

  #finish(): void {
    this.#resolve(this.result());
  }
}
