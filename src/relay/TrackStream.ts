import { v7 as uuidv7 } from 'uuid';
import type { WebSocket } from 'ws';
import { bytesOf, samplesOf } from '../audio/pcm.js';
import { PcmAlignment } from '../audio/PcmAlignment.js';
import { Resampler } from '../audio/Resampler.js';
import { ReelayError, type ErrorCode } from '../config/ReelayError.js';
import type { StartEvent } from '../providers/Dialect.js';
import { parseObject } from '../providers/JsonMessage.js';
import { noWarnings } from '../providers/Payload.js';
import { roomProvider } from '../tap/TapRecord.js';
import type { StreamEndFacts, StreamFacts } from '../tap/TapRecord.js';
import { AudioAllowance } from './AudioAllowance.js';
import type { Call, CallStream } from './Call.js';
import { CloseCode, closeCode } from './closeCode.js';
import type { Pulse } from './Heartbeats.js';
import { laneFacts } from './laneFacts.js';
import { Problems } from './Problems.js';
import type { RelayContext } from './RelayContext.js';
import { roomCallId } from './roomCallId.js';
import { TapFeed } from './TapFeed.js';
import type { AdmittedTrack } from './TrackAdmission.js';

/** Of what an egress sends, Hz: its pipeline has it so, whatever the track's own is. */
const sentRate = 48_000;
/** Streams of one lane at once: whoever comes back may be there before the one that was is gone. */
const mostOfLane = 2;
/** The one text that there is has 14 bytes. Each counts as so many bytes of audio: it is an event of the recording. */
const maxTextBytes = 4096;

/**
 * One track of a LiveKit room, as LiveKit's own track egress brings it (`WS /livekit/track`): raw 16-bit samples at 48 kHz without any
 * clock, and a text when the track is muted. It becomes a lane of its room's recording: of the one that is under way, or of one that
 * begins with it. Nothing is ever sent on it.
 *
 * An egress that loses its socket fails and doesn't come back, so it is closed from here only at the end of the process, when it sends more
 * than anybody can say, and when handling it fails.
 */
export class TrackStream implements CallStream {
  readonly streamId = uuidv7();
  readonly role = 'lane';
  readonly upstreamState = 'none';
  readonly #socket: WebSocket;
  readonly #context: RelayContext;
  readonly #onOver: () => void;
  readonly #problems: Problems;
  readonly #pulse: Pulse;
  readonly #track: AdmittedTrack;
  readonly #alignment: PcmAlignment;
  readonly #allowance: AudioAllowance;
  /** Null: the recording has the rate that comes. */
  readonly #resampler: Resampler | null;
  #lane = '';
  #call: Call | undefined;
  #feed: TapFeed | undefined;
  #hasAudio = false;
  #isClosing = false;

  constructor(options: {
    readonly socket: WebSocket;
    readonly track: AdmittedTrack;
    readonly context: RelayContext;
    /** Called once, when the socket is gone. */
    readonly onOver: () => void;
  }) {
    const { socket, track, context } = options;
    this.#socket = socket;
    this.#track = track;
    this.#context = context;
    this.#onOver = options.onOver;
    this.#alignment = new PcmAlignment(2 * track.channels);
    this.#allowance = new AudioAllowance(2 * track.channels * sentRate, performance.now());
    const rate = rateOf(track);
    this.#resampler = rate === sentRate ? null : new Resampler(sentRate, rate);
    const { identity, source, remoteAddress } = track;
    const log = context.log.child({ provider: roomProvider, identity, source, remoteAddress });
    this.#problems = new Problems(log, context.counters);
    this.#pulse = context.heartbeats.watch(socket, performance.now());
    this.#listen();
    this.#guard(() => this.#begin(performance.now()));
  }

  comeBack(then: () => void): void {
    then();
  }

  beginRecording(): void {
    this.#feed?.join();
  }

  endRecording(): void {
    this.#feed?.end({ reason: 'relay', closeCode: null }, performance.now());
  }

  /** The daemon is ending. */
  shutDown(): void {
    this.#close(CloseCode.goingAway);
  }

  #listen(): void {
    this.#socket.on('message', (data, isBinary) => {
      const arrivalMs = performance.now();
      this.#pulse.seenMs = arrivalMs;
      this.#guard(() => this.#receive(data as Buffer, isBinary, arrivalMs));
    });
    this.#socket.on('error', (error) => this.#problems.violated(error));
    this.#socket.on('close', (code) => this.#guard(() => this.#closed(code)));
  }

  #begin(arrivalMs: number): void {
    const { accountId, account, config, room, identity, source } = this.#track;
    const start = startOf(this.#track);
    const call = this.#context.calls.callFor({
      accountId,
      account,
      config,
      dialect: { name: roomProvider },
      endpoint: 'track',
      start,
      role: this.role,
      room,
      arrivalMs,
    });
    const isFirst = !call.live;
    this.#lane = this.#laneOf(call, arrivalMs);
    this.#call = call;
    this.#problems.identify(call.log.child({ streamId: this.streamId, lane: this.#lane }));
    call.attach(this);
    call.lanes.set(this.#lane, (call.lanes.get(this.#lane) ?? 0) + 1);
    call.room ??= () => ({
      name: room.name,
      sid: room.sid ?? '',
      presence: 'audible',
      lanes: [...call.lanes.keys()],
    });
    if (isFirst) call.event({ type: 'room_joined', via: 'track_egress' }, arrivalMs);
    call.event({ type: 'lane_joined', lane: this.#lane, identity, source }, arrivalMs);
    const facts = this.#facts(arrivalMs);
    const capabilities = { framing: 'binary', encoding: 'pcm16' } as const;
    this.#feed = new TapFeed({ call, facts, start, capabilities, problems: this.#problems, arrivalMs });
    this.#context.counters.add('streams');
    call.log.info(
      { streamId: this.streamId, role: this.role, lane: this.#lane, room: room.name },
      'stream started',
    );
    this.#context.onChange(call);
  }

  /** @throws ReelayError `lanes_full` */
  #laneOf(call: Call, arrivalMs: number): string {
    const { identity, source, config } = this.#track;
    const { lanesPerRoom } = config.limits;
    const { laneNames, lanes } = call;
    const name = laneNames.mayName(identity, source, lanesPerRoom) ? laneNames.of(identity, source) : null;
    if (name !== null) {
      const there = lanes.get(name) ?? 0;
      if (there === 0 ? lanes.size < lanesPerRoom : there < mostOfLane) return name;
    }
    call.event({ type: 'lane_failed', code: 'lanes_full', identity, source }, arrivalMs);
    throw new ReelayError('lanes_full', { value: lanesPerRoom });
  }

  #facts(arrivalMs: number): StreamFacts {
    const { identity, source } = this.#track;
    return laneFacts({
      streamId: this.streamId,
      lane: this.#lane,
      // Of the participant an egress knows what its URL says.
      participant: { identity, name: identity, kind: 'UNKNOWN', sid: '', source },
      isOnTime: false,
      sampleRate: rateOf(this.#track),
      arrivalMs,
    });
  }

  #receive(data: Buffer, isBinary: boolean, arrivalMs: number): void {
    if (this.#call === undefined) return;
    this.#context.counters.add('framesFromProvider');
    this.#context.counters.add('bytesFromProvider', data.length);
    if (!this.#allowance.take(isBinary ? data.length : maxTextBytes, arrivalMs))
      throw new ReelayError('audio_too_fast', { value: `${data.length} bytes more` });
    if (!isBinary) return this.#text(data, arrivalMs);
    const payload = this.#mono(this.#alignment.push(data));
    if (payload.length === 0) return;
    if (!this.#hasAudio) this.#tell('first_audio', arrivalMs);
    this.#hasAudio = true;
    const heard = { kind: 'audio', track: 'caller', timestampMs: NaN, streamId: null } as const;
    this.#feed?.provider({ ...heard, payload, warnings: noWarnings }, data, arrivalMs);
  }

  /** The mean of both channels; an egress gives a mono track in two that are the same. */
  #mono(pcm: Uint8Array): Uint8Array {
    if (this.#track.channels === 1 && this.#resampler === null) return pcm;
    const sent = samplesOf(pcm);
    const one = this.#track.channels === 1 ? sent : meanOf(sent);
    return bytesOf(this.#resampler?.push(one) ?? one);
  }

  #text(data: Buffer, arrivalMs: number): void {
    const message = data.length > maxTextBytes ? 'frame_not_json' : parseObject(data.toString('utf8'));
    if (typeof message === 'string')
      this.#problems.note(message, { value: `a text of ${data.length} bytes` });
    else if (message['muted'] === true) this.#tell('lane_muted', arrivalMs);
    else if (message['muted'] === false) this.#tell('lane_unmuted', arrivalMs);
    else this.#problems.note('event_unknown', { value: Object.keys(message).slice(0, 5) });
  }

  #tell(type: string, arrivalMs: number): void {
    this.#call?.event({ type, lane: this.#lane }, arrivalMs);
  }

  #close(code: number, reason = ''): void {
    this.#isClosing = true;
    this.#socket.close(code, reason);
  }

  #closed(code: number): void {
    const isProper = code === 1000 || code === 1005;
    this.#end({ reason: this.#isClosing ? 'relay' : isProper ? 'stop' : 'lost', closeCode: code });
    this.#onOver();
  }

  #end(facts: StreamEndFacts): void {
    const call = this.#call;
    if (call === undefined) return;
    const nowMs = performance.now();
    this.#tell('lane_left', nowMs);
    const left = (call.lanes.get(this.#lane) ?? 1) - 1;
    if (left > 0) call.lanes.set(this.#lane, left);
    else call.lanes.delete(this.#lane);
    this.#call = undefined;
    this.#feed?.end(facts, nowMs);
    this.#context.counters.add('streams', -1);
    call.log.info({ streamId: this.streamId, ...facts, problems: this.#problems.totals() }, 'stream ended');
    call.detach(this, facts.reason);
    this.#context.onChange(call);
  }

  /** Whatever fails in here ends this track and nothing else. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      const code = error instanceof ReelayError ? error.code : 'stream_failed';
      this.#problems.tell(code, error instanceof ReelayError ? { value: error.value } : { err: error });
      this.#fail(code);
    }
  }

  /** Its participant may be speaking all the same, so the lane is lost: what isn't recorded of it from now on is missing. */
  #fail(code: ErrorCode): void {
    const { identity, source } = this.#track;
    const facts = { type: 'lane_failed', code, lane: this.#lane, identity, source };
    this.#call?.event(facts, performance.now());
    this.#end({ reason: 'lost', closeCode: null });
    this.#close(closeCode(code), code);
  }
}

/** What a start message would say if there were one. */
function startOf(track: AdmittedTrack): StartEvent {
  const { accountId, room } = track;
  return {
    kind: 'start',
    accountId,
    callId: roomCallId(room.name, room.sid),
    streamId: null,
    sampleRate: rateOf(track),
    channels: 1,
    tracks: ['caller'],
    from: null,
    to: null,
    direction: null,
    parameters: {},
    warnings: [],
  };
}

function meanOf(both: Int16Array): Int16Array {
  const one = new Int16Array(both.length >> 1);
  for (let i = 0; i < one.length; i++) one[i] = ((both[2 * i] ?? 0) + (both[2 * i + 1] ?? 0)) >> 1;
  return one;
}

/** Of the room's recording, Hz. */
function rateOf({ account }: AdmittedTrack): number {
  return account.livekit?.sampleRate ?? sentRate;
}
