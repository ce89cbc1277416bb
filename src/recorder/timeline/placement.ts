import { Resampler, type ResamplerState } from '../../audio/Resampler.js';
import { kernels } from '../../audio/kernels.js';
import {
  audioBytes,
  Encoding,
  maxPayloadBytes,
  RecordKind,
  Track,
  type TapRecord,
} from '../../tap/TapRecord.js';
import { missing } from './Coverage.js';
import { moveLane, writeLane, type LaneState } from './Lane.js';
import { isHushed, mute } from './Pause.js';
import type { PlayoutState } from './Playout.js';
import { createStreamClock, observe, streamTime } from './StreamClock.js';
import { positionAt, receivedEnd, type StreamState } from './StreamTimeline.js';
import { addEvent, assumeSilence, longestWaitMs, type TimelineState } from './TimelineState.js';

/**
 * Where the provider's own audio goes. Frames with timestamps are placed by them, never by arrival; frames without (jambonz)
 * by the number of samples received, with losses recognised by the client's fingerprint or by time that never catches up.
 */

/** A timestamp this far ahead of the clock is not believed; the audio is put behind what is there. */
const absurdMs = 60_000;
/** So many frames in a row with times that lie in the past mean that the provider's clock began anew. */
const rebaseAfter = 5;
/** A first message this little late can't be told from the network's own delay. */
const slackMs = 60;
/** A wait this long may be lost audio; whether it is shows within the time after it, by the deficit that stays. */
const idleMs = 400;
const idleVerdictMs = 1000;
const caughtUpMs = 100;
/** A deficit that shrinks by more than this is still being caught up with. */
const jitterMs = 20;
/** What is missing so short behind records that reelay lost is taken for lost here too: arrivals tell no better. */
const nearMs = 500;
/** After a client overrun the next message is this many bytes short of whole ticks. */
const overrunBytes = 16;

/** Lays down an audio record of the provider; of a muted one only where it would lie. */
export function placeAudio(state: TimelineState, stream: StreamState, record: TapRecord): void {
  const pcm = decode(record);
  if (record.track === Track.both) {
    const [caller, bot] = split(pcm);
    placeTrack(state, stream, record, caller, bot);
  } else placeTrack(state, stream, record, pcm, null);
}

/** @param second - the bot's side of a record that holds both */
function placeTrack(
  state: TimelineState,
  stream: StreamState,
  record: TapRecord,
  first: Int16Array,
  second: Int16Array | null,
): void {
  const { sampleRate, placement } = stream.facts;
  const from = placement === 'timestamp' ? byTimestamp : byCount;
  const track = record.track === Track.botHeard ? 'bot' : 'caller';
  const samples = resampled(stream, track, first, sampleRate, state.facts.sampleRate);
  const { length } = samples;
  joinAt(stream, record, state.facts.sampleRate / 1000);
  const position = from(state, stream, record, track, length);
  nameLost(state, stream, track, position);
  const other = second === null ? null : resampled(stream, 'bot', second, sampleRate, state.facts.sampleRate);
  if (record.kind === RecordKind.muted) mute(state, Math.max(position, state.final), position + length);
  else {
    writeAloud(state, stream, laneOf(state, stream, record.track), position, samples);
    if (other !== null) writeAloud(state, stream, state.lanes.botHeard, position, other);
  }
  const ends = stream.ends[track];
  if (ends === undefined && track === 'caller') assumeSilence(state, 0, stream.startSample, position);
  if (ends === undefined && (track === 'bot' || second !== null)) {
    assumeSilence(state, 1, stream.startSample, position);
  }
  stream.ends[track] = Math.max(ends ?? stream.startSample, position + length);
  stream.lastArrivalMs = record.arrivalMs;
}

/** Writes what wasn't said in a pause. */
export function writeAloud(
  { final }: TimelineState,
  { hushed = [] }: StreamState,
  lane: LaneState,
  position: number,
  samples: Int16Array,
): void {
  const end = position + samples.length;
  let from = position;
  for (const hush of hushed) {
    if (hush.to <= from || hush.from >= end) continue;
    if (hush.from > from)
      writeLane(lane, from, samples.subarray(from - position, hush.from - position), final);
    from = Math.min(end, hush.to);
  }
  writeLane(lane, from, from === position ? samples : samples.subarray(from - position), final);
}

/** Of a stream that was there before its recording the first frame lies where the recording begins, whatever time it has. */
function joinAt(stream: StreamState, { providerMs }: TapRecord, perMs: number): void {
  if (stream.facts.isJoined !== true || stream.clock.offsetMs !== null || Number.isNaN(providerMs)) return;
  const startMs = stream.clock.startArrivalMs;
  // As if the stream had begun here: its clock is asked how far times may be ahead.
  observe(stream.clock, startMs, providerMs);
  stream.base = stream.startSample - Math.round(providerMs * perMs);
}

/**
 * The first frame behind lost records tells where they ended: when all came late before, and it doesn't, that is further on than the
 * stream's clock said when they were told of.
 */
function nameLost(
  state: TimelineState,
  stream: StreamState,
  track: 'caller' | 'bot',
  position: number,
): void {
  const lost = stream.lost?.[track];
  if (stream.lost === undefined || lost === undefined || lost === null) return;
  stream.lost = { ...stream.lost, [track]: null };
  const perMs = state.facts.sampleRate / 1000;
  const known = positionAt(stream, lost.untilMs, perMs);
  // By count, whatever is missing there is what was lost here.
  const isNear = stream.facts.placement === 'count' || position <= known + nearMs * perMs;
  const to = isNear ? position : known;
  // What is final stays as it was said to be: half a minute after the loss that is silence, or another's.
  const from = Math.max(lost.to, state.final);
  if (to > from) state.causes.push({ from, to, cause: lost.cause });
}

function byTimestamp(
  state: TimelineState,
  stream: StreamState,
  record: TapRecord,
  track: 'caller' | 'bot',
  samples: number,
): number {
  const perMs = state.facts.sampleRate / 1000;
  const behind = stream.ends[track] ?? stream.base;
  if (Number.isNaN(record.providerMs)) return behind;
  if (record.providerMs > streamTime(stream.clock, record.arrivalMs) + absurdMs) {
    addEvent(state, 'timestamp_absurd', behind, { timestamp: record.providerMs });
    return behind;
  }
  const position = stream.base + Math.round(record.providerMs * perMs);
  if (
    position + samples > behind ||
    fillsHole(state, laneOf(state, stream, record.track), position, samples)
  ) {
    stream.backwards = 0;
  } else if (++stream.backwards >= rebaseAfter) {
    return rebase(state, stream, record, behind, samples);
  } else if (stream.backwards === 1) {
    addEvent(state, 'timestamp_backwards', behind, { timestamp: record.providerMs });
  }
  observe(stream.clock, record.arrivalMs, record.providerMs + samples / perMs);
  return position;
}

/** Whether a frame from the past belongs where frames are missing, rather than telling of a clock that went back. */
function fillsHole(state: TimelineState, lane: LaneState, position: number, samples: number): boolean {
  const from = Math.max(position, state.final);
  const { silence } = state;
  const known = lane === state.lanes.botHeard ? silence[1] : silence[0];
  const free = missing(lane.coverage, from, position + samples);
  return free.length > 0 && missing(known, free[0] ?? 0, free[1] ?? 0).length > 0;
}

/** The provider's clock began anew: from here on its times count from where the recording stands. */
function rebase(
  state: TimelineState,
  stream: StreamState,
  record: TapRecord,
  behind: number,
  samples: number,
): number {
  const perMs = state.facts.sampleRate / 1000;
  const position = Math.max(behind, positionAt(stream, record.arrivalMs, perMs) - samples);
  stream.base = position - Math.round(record.providerMs * perMs);
  Object.assign(stream.clock, createStreamClock(stream.clock.startArrivalMs));
  observe(stream.clock, record.arrivalMs, record.providerMs + samples / perMs);
  stream.backwards = 0;
  addEvent(state, 'clock_restarted', position, { timestamp: record.providerMs });
  return position;
}

function byCount(
  state: TimelineState,
  stream: StreamState,
  record: TapRecord,
  track: 'caller' | 'bot',
  samples: number,
): number {
  const perMs = state.facts.sampleRate / 1000;
  const behind = stream.ends[track];
  if (behind === undefined) {
    const leadMs = record.arrivalMs - stream.clock.startArrivalMs - samples / perMs;
    const position = stream.base + (leadMs > slackMs ? Math.round(leadMs * perMs) : 0);
    observe(stream.clock, record.arrivalMs, (position + samples - stream.base) / perMs);
    return position;
  }
  let position = behind;
  const lagMs = streamTime(stream.clock, record.arrivalMs) - (behind + samples - stream.base) / perMs;
  const overrun = isOverrun(stream, record) && lagMs > idleMs;
  // In a pause that was left out nothing was waited for: a late frame was said in it, and has to be found there.
  const inVain = behind < state.final && !isHushed(stream, behind);
  // What reelay dropped itself is missing for certain; and what was waited for in vain is, or will be before a verdict, final.
  if (overrun || stream.dropped || inVain || lagMs > longestWaitMs - 2 * idleVerdictMs) {
    position += Math.max(0, Math.round(lagMs * perMs));
    if (overrun) {
      state.causes.push({ from: Math.max(behind, state.final), to: position, cause: 'client_overrun' });
      addEvent(state, 'client_overrun', behind, { samples: position - behind });
    }
    stream.idle = null;
    stream.dropped = false;
  } else {
    position += lateOrLost(state, stream, record, behind, lagMs);
  }
  // Until the verdict the clock stays as it was: it is what the deficit is measured by.
  if (stream.idle === null) {
    observe(stream.clock, record.arrivalMs, (position + samples - stream.base) / perMs);
  }
  return position;
}

/**
 * A pause on the wire: either the audio is only late and what follows comes faster than real time, or it was never sent and
 * the deficit stays. Decided when it has stayed for a second; it is inserted where the pause was.
 *
 * @returns samples by which the audio received since has been moved
 */
function lateOrLost(
  state: TimelineState,
  stream: StreamState,
  record: TapRecord,
  behind: number,
  lagMs: number,
): number {
  const moved = verdict(state, stream, record.arrivalMs, lagMs);
  const restMs = lagMs - (moved * 1000) / state.facts.sampleRate;
  if (stream.idle === null && restMs > idleMs && record.arrivalMs - stream.lastArrivalMs > idleMs) {
    const at = behind + moved;
    stream.idle = { at, sinceMs: record.arrivalMs, sinceLagMs: restMs, leastMs: restMs };
  }
  return moved;
}

function verdict(state: TimelineState, stream: StreamState, arrivalMs: number, lagMs: number): number {
  const { idle } = stream;
  if (idle === null) return 0;
  if (lagMs < idle.sinceLagMs - jitterMs) [idle.sinceMs, idle.sinceLagMs] = [arrivalMs, lagMs];
  idle.leastMs = Math.min(idle.leastMs, lagMs);
  if (idle.leastMs >= caughtUpMs && arrivalMs - idle.sinceMs < idleVerdictMs) return 0;
  stream.idle = null;
  if (idle.leastMs < caughtUpMs) return 0;
  const at = Math.max(idle.at, state.final);
  const gap = Math.round((idle.leastMs * state.facts.sampleRate) / 1000);
  moveLane(state.lanes.caller, at, at + gap);
  if (stream.facts.tracks.includes('both')) moveLane(state.lanes.botHeard, at, at + gap);
  addEvent(state, 'audio_missing', at, { samples: gap });
  return gap;
}

function isOverrun(stream: StreamState, record: TapRecord): boolean {
  if (!stream.facts.overrunFingerprint) return false;
  const channels = record.track === Track.both ? 2 : 1;
  const tick = (stream.facts.sampleRate / 50) * 2 * channels;
  return (audioBytes(record) + overrunBytes) % tick === 0;
}

/** Where the audio of a track goes; of a record that holds both parties, the caller's. */
function laneOf(state: TimelineState, stream: StreamState, track: Track): LaneState {
  const { lanes } = state;
  if (track === Track.botHeard) return lanes.botHeard;
  return stream.facts.role === 'tap' && track !== Track.both ? lanes.callerTap : lanes.caller;
}

/** Samples, and the bytes that they lie in. */
interface Decoded {
  readonly pcm: Int16Array;
  readonly bytes: Uint8Array;
}

/** Frames of one call are as long as one another, and those of all calls have few lengths: an array of each is kept. */
const decoded = new Map<number, Decoded>();
const mostDecoded = 32;
/** Longer audio comes in a message now and then. */
const longestDecoded = 8192;

/** The record's audio as samples, in an array that is used again for the next record; silence for audio that wasn't kept. */
export function decode(record: TapRecord): Int16Array {
  // Each time it is asked for, a payload is a new array.
  const { kind, payload, encoding } = record;
  const length = audioBytes({ kind, payload });
  const { pcm, bytes } = roomFor(encoding === Encoding.mulaw ? length : length >> 1);
  if (kind === RecordKind.muted) pcm.fill(0);
  else if (encoding === Encoding.mulaw) kernels.decodeMulaw(payload, pcm);
  else bytes.set(payload.length === bytes.length ? payload : payload.subarray(0, bytes.length));
  return pcm;
}

function roomFor(samples: number): Decoded {
  const kept = decoded.get(samples);
  if (kept !== undefined) return kept;
  const pcm = new Int16Array(samples);
  const made = { pcm, bytes: new Uint8Array(pcm.buffer) };
  if (decoded.size >= mostDecoded) decoded.clear();
  if (samples <= longestDecoded) decoded.set(samples, made);
  return made;
}

function split(pcm: Int16Array): [Int16Array, Int16Array] {
  const left = new Int16Array(pcm.length >> 1);
  const right = new Int16Array(pcm.length >> 1);
  kernels.deinterleave(pcm, left, right);
  return [left, right];
}

/** Audio at the recording's rate; a stream that has that rate anyway passes untouched. */
export function resampled(
  stream: StreamState,
  track: 'caller' | 'bot' | 'sent',
  pcm: Int16Array,
  from: number,
  to: number,
): Int16Array {
  if (from === to) return pcm;
  const resampler: Resampler = new Resampler(from, to, stream.resamplers[track] ?? undefined);
  const output = resampler.push(pcm);
  const state: ResamplerState = resampler.state;
  stream.resamplers[track] = state;
  return output;
}

/**
 * What the bot sent, at the recording's rate. Streamed audio is one signal; each clip has a rate and an end of its own, and
 * only a record of the largest size can be followed by more of the same clip.
 */
export function sentAudio(
  stream: StreamState,
  playout: PlayoutState,
  record: TapRecord,
  rate: number,
): Int16Array {
  const isClip = playout.kind === 'clips';
  const from = isClip ? playout.clipSampleRate : stream.facts.returnSampleRate;
  const body = resampled(stream, 'sent', decode(record), from, rate);
  const { sent } = stream.resamplers;
  if (!isClip || sent === null || audioBytes(record) === maxPayloadBytes) return body;
  stream.resamplers.sent = null;
  const tail = new Resampler(from, rate, sent).flush();
  const whole = new Int16Array(body.length + tail.length);
  whole.set(body);
  whole.set(tail, body.length);
  return whole;
}

/** Where a stream's audio ends when the stream does. */
export function endOf(
  stream: StreamState,
  reason: StreamState['endReason'],
  now: number,
  final: number,
): number {
  const heard = Math.max(receivedEnd(stream), final);
  return reason === 'lost' ? Math.max(heard, stream.lastHeard) : Math.max(heard, now);
}
