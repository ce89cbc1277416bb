import { kernels } from '../../src/audio/kernels.js';
import { channelOf, samplesOf } from '../../src/audio/pcm.js';
import { Resampler } from '../../src/audio/Resampler.js';
import type { CallResult, SentFrame, StreamResult } from '../../src/simulators/CallResult.js';
import type { Gap } from '../../src/spool/Manifest.js';
import { compare, stretchesIn, type Comparison, type Stretch } from './Placement.js';
import type { StoredCall } from './StoredCall.js';
import { apart } from './voice.js';

/** What is known of a call from its two ends. */
export interface Evidence {
  readonly name: string;
  readonly result: CallResult;
  /** Everything that the bot sent, in order, as it decodes, at `returnSampleRate`. */
  readonly botSaid: Int16Array;
  readonly returnSampleRate: number;
  readonly mixType: 'mono' | 'mixed' | 'stereo';
  readonly returns: 'streaming' | 'playAudio' | 'none';
  /** Times at which audio was cut off before it was heard: clears and ends of streams. */
  readonly cuts: number;
  /** What the provider hides of its playout, ms. */
  readonly hiddenMs: number;
}

/** What the oracle found. A call that was recorded as it should be has no problems. */
export interface Judgement {
  readonly name: string;
  readonly problems: readonly string[];
  /** Recorded minus heard, ms, per ms of audio. */
  readonly botErrorsMs: readonly number[];
  readonly callerErrorsMs: readonly number[];
  /** Audio on the wrong side of a cut, ms. */
  readonly cutErrorsMs: readonly number[];
}

/** Position errors that acceptance allows, ms. */
export const medianBoundMs = 5;
export const p99BoundMs = 20;
/** A single cut is no percentile; what differs by more than this isn't a matter of when the cut was noticed. */
const cutBoundMs = 250;

/**
 * Compares a stored recording with what the simulators at both ends of the call know: the caller's provider what it sent and
 * when the caller heard which sample of the bot, the bot what it said. Nothing of the daemon's own account is believed but
 * where its streams begin, and that is compared with the simulator's clock.
 */
export function judge(evidence: Evidence, stored: StoredCall): Judgement {
  const problems: string[] = stored.findings.map(
    ({ code, where, detail }) => `verify: ${code} ${where} ${detail}`,
  );
  const { result } = evidence;
  if (result.violations.length > 0)
    problems.push(`violations: ${JSON.stringify(result.violations.slice(0, 3))}`);
  if (result.refused !== null) problems.push(`refused: ${JSON.stringify(result.refused)}`);
  const parts = partsOf(evidence, stored);
  const caller =
    result.provider === 'twilio'
      ? callerByTime(result, stored, problems)
      : callerByCount(evidence, parts, stored, problems);
  const bot = botAsHeard(evidence, parts.bot, stored, problems);
  problems.push(...startProblems(result, stored), ...markProblems(result, stored));
  return { name: evidence.name, problems, callerErrorsMs: caller, ...bot };
}

/** The recording's channels by party; null for a party that can't be told apart. */
interface Parts {
  readonly caller: Int16Array;
  readonly bot: Int16Array | null;
}

function partsOf({ mixType, returns }: Evidence, { channels }: StoredCall): Parts {
  const [first = new Int16Array(0), second] = channels;
  if (mixType !== 'mixed') return { caller: first, bot: second ?? new Int16Array(0) };
  // What the provider has mixed already is compared as it came.
  return returns === 'streaming' ? apart(first) : { caller: first, bot: null };
}

/** Twilio: each frame lies where its timestamp says, and nothing lies anywhere else. @returns position errors: none */
function callerByTime(result: CallResult, stored: StoredCall, problems: string[]): number[] {
  const { manifest, channels } = stored;
  for (const [channel, track] of (['inbound', 'outbound'] as const).entries()) {
    const frames = result.streams.flatMap(({ frames, streamSid }) => {
      const start = manifest.streams.find(({ streamId }) => streamId === streamSid)?.startSample;
      if (start === undefined) problems.push(`stream ${streamSid} is not in the manifest`);
      return frames
        .filter((frame) => frame.track === track)
        .map(({ payload, timestampMs }) => ({ at: (start ?? 0) + timestampMs * 8, pcm: decoded(payload) }));
    });
    const recorded = channels[channel];
    if (recorded !== undefined && (track === 'inbound' || frames.length > 0)) {
      problems.push(...exactProblems(track, recorded, frames));
    }
  }
  return [];
}

/** Compares a channel with audio whose place is known to the sample. */
export function exactProblems(
  name: string,
  recorded: Int16Array,
  frames: readonly { readonly at: number; readonly pcm: Int16Array }[],
): string[] {
  const end = frames.reduce((most, { at, pcm }) => Math.max(most, at + pcm.length), 0);
  const expected = new Int16Array(Math.max(end, recorded.length));
  for (const { at, pcm } of frames) expected.set(pcm, at);
  const wrong: number[] = [];
  for (let at = 0; at < expected.length; at += 1) if (expected[at] !== (recorded[at] ?? 0)) wrong.push(at);
  if (wrong.length === 0 && end <= recorded.length) return [];
  const [first = 0] = wrong;
  return [
    `${name}: ${wrong.length} of ${expected.length} samples differ, first ${first}: recorded ` +
      `${[...recorded.subarray(first, first + 4)].join(' ')}, sent ${[...expected.subarray(first, first + 4)].join(' ')}; ` +
      `recorded are ${recorded.length}, sent until ${end}`,
  ];
}

/** jambonz: every sample in its order; where it lies is compared with the time at which it was taken. */
function callerByCount({ result }: Evidence, parts: Parts, stored: StoredCall, problems: string[]): number[] {
  const perMs = result.sampleRate / 1000;
  const sent = result.streams.flatMap((stream) =>
    stream.frames.map((frame) => ({
      at: offsetOf(result, stream) * perMs + frame.sampleStart,
      pcm: channelOf(samplesOf(frame.payload), 0, result.channels),
      right: result.channels === 2 ? channelOf(samplesOf(frame.payload), 1, 2) : null,
    })),
  );
  const said = joined(sent.map(({ pcm }) => pcm));
  let index = 0;
  const truth = sent.map(({ at, pcm }): Stretch => {
    index += pcm.length;
    return { index: index - pcm.length, at, samples: pcm.length };
  });
  const recorded = guarded('caller', problems, () => stretchesIn(parts.caller, said));
  if (recorded === null) return [];
  const comparison = compare(recorded, truth, said.length, perMs);
  problems.push(...comparisonProblems('caller', comparison, 0, 0));
  if (sent[0]?.right !== null) {
    const right = joined(sent.map((frame) => frame.right ?? new Int16Array(0)));
    if (right.some((sample) => sample !== 0)) problems.push(...rightProblems(recorded, right, stored));
  }
  return comparison.errors.map((samples) => samples / perMs);
}

/** Stereo with clips: the right side lies beside the left one, as it came. */
function rightProblems(recorded: readonly Stretch[], right: Int16Array, { channels }: StoredCall): string[] {
  const frames = recorded.map(({ index, at, samples }) => ({
    at,
    pcm: right.subarray(index, index + samples),
  }));
  return exactProblems('right', channels[1] ?? new Int16Array(0), frames);
}

function botAsHeard(
  evidence: Evidence,
  recorded: Int16Array | null,
  stored: StoredCall,
  problems: string[],
): { botErrorsMs: number[]; cutErrorsMs: number[] } {
  const none = { botErrorsMs: [], cutErrorsMs: [] };
  const { result, botSaid, returnSampleRate, returns, mixType, cuts } = evidence;
  const rate = stored.manifest.sampleRate;
  const isInFrames = returns === 'playAudio' && mixType !== 'mono';
  const isOneWay = result.streams.some(({ frames }) => frames.some(({ track }) => track === 'outbound'));
  if (recorded === null || isInFrames || isOneWay) return none;
  const ratio = rate / returnSampleRate;
  const said = ratio === 1 ? botSaid : resampled(botSaid, returnSampleRate, rate);
  // Clips are heard at the stream's rate, to which their player has brought them.
  const [words, scale] = returns === 'playAudio' ? [said, 1] : [botSaid, ratio];
  const stretches = guarded('bot', problems, () => stretchesIn(recorded, said));
  const heard = guarded('heard', problems, () => heardStretches(result, words, scale, rate));
  if (stretches === null || heard === null) return none;
  const comparison = compare(stretches, heard, said.length, rate / 1000);
  problems.push(...comparisonProblems('bot', comparison, cuts, (cutBoundMs * rate) / 1000));
  const edges = [...comparison.missing, ...comparison.extra].map(({ samples }) => (samples * 1000) / rate);
  const errors = comparison.errors.map((samples) => (samples * 1000) / rate);
  // Audio on the wrong side of a cut counts as off by as much as the cut is.
  const atCuts = edges.flatMap((ms) => Array.from({ length: Math.ceil(ms) }, () => ms));
  return { botErrorsMs: [...errors, ...atCuts], cutErrorsMs: edges };
}

/** What the caller heard, on the recording's axis by the simulator's own clock. */
function heardStretches(result: CallResult, said: Int16Array, ratio: number, rate: number): Stretch[] {
  const pieces = result.streams.flatMap((stream) =>
    stream.heard.map(({ pcm, atMs }) => ({ pcm, at: ((offsetOf(result, stream) + atMs) * rate) / 1000 })),
  );
  const whole = joined(pieces.map(({ pcm }) => pcm));
  // One stretch of what was said may lie in several pieces, and a piece is never torn.
  const found = stretchesIn(whole, said);
  const stretches: Stretch[] = [];
  let start = 0;
  for (const { pcm, at } of pieces) {
    const own = found.find((stretch) => stretch.at <= start && start < stretch.at + stretch.samples);
    if (own === undefined) throw new Error(`piece at ${at} is not something the bot said`);
    const index = Math.round((own.index + start - own.at) * ratio);
    stretches.push({ index, at, samples: Math.round(pcm.length * ratio) });
    start += pcm.length;
  }
  return stretches;
}

/** At a cut it counts when it was noticed; anywhere else nothing may differ. */
function comparisonProblems(name: string, comparison: Comparison, cuts: number, cutBound: number): string[] {
  const problems: string[] = [];
  for (const kind of ['missing', 'extra'] as const) {
    const all = comparison[kind];
    const bad = all.length > cuts ? all : all.filter(({ samples }) => samples > cutBound);
    if (bad.length > 0) {
      const list = bad.slice(0, 5).map(({ from, samples }) => `${samples} from ${from}`);
      problems.push(`${name}: ${all.length} stretches ${kind} (${cuts} cuts): ${list.join(', ')}`);
    }
  }
  if (comparison.misplaced.length > 0) {
    problems.push(`${name}: out of order or twice: ${JSON.stringify(comparison.misplaced.slice(0, 5))}`);
  }
  return problems;
}

/** Where the daemon lets a stream begin, against the simulator's clock. */
function startProblems(result: CallResult, { manifest }: StoredCall): string[] {
  return result.streams.flatMap((stream, index) => {
    const start = manifest.streams[index]?.startSample ?? NaN;
    const errorMs = (start * 1000) / manifest.sampleRate - offsetOf(result, stream);
    return Math.abs(errorMs) <= p99BoundMs ? [] : [`stream ${index} starts ${errorMs.toFixed(1)} ms off`];
  });
}

/** Echoes in the manifest, in their order and with the right verdict on whether they were played. */
function markProblems(result: CallResult, { manifest }: StoredCall): string[] {
  const sent = result.streams.flatMap(({ echoes }) =>
    echoes.map(({ name, cleared }) => `${name} ${cleared ? 'cleared' : 'played'}`),
  );
  const seen = manifest.events
    .filter(({ type }) => type === 'mark_echo')
    .map((event) => `${String(event['name'])} ${event['played'] === true ? 'played' : 'cleared'}`);
  return sent.join() === seen.join() ? [] : [`marks: sent ${sent.join(', ')}; recorded ${seen.join(', ')}`];
}

/**
 * The gaps that a call's caller channel must have by what the provider left out, and both channels between streams.
 *
 * @returns gaps of Twilio calls, to the sample but for the length of seams, which are taken from the manifest's streams
 */
export function expectedGaps(result: CallResult, { manifest }: StoredCall): Gap[] {
  const gaps: Gap[] = [];
  for (const [index, { frames }] of result.streams.entries()) {
    const own = manifest.streams[index];
    const before = manifest.streams[index - 1];
    if (own === undefined) continue;
    if (before !== undefined) {
      const from = before.endSample ?? 0;
      const seam = { startSample: from, samples: own.startSample - from, cause: 'between_streams' as const };
      gaps.push({ channel: 0, ...seam }, { channel: 1, ...seam });
    }
    gaps.push(...lostBetween(frames, own.startSample));
  }
  return gaps.sort((a, b) => a.channel - b.channel || a.startSample - b.startSample);
}

function lostBetween(frames: readonly SentFrame[], start: number): Gap[] {
  let end = 0;
  return frames
    .filter(({ track }) => track === 'inbound')
    .flatMap(({ timestampMs, payload }, index): Gap[] => {
      const [from, at] = [end, timestampMs * 8];
      end = at + payload.length;
      if (index === 0 || at === from) return [];
      return [{ channel: 0, startSample: start + from, samples: at - from, cause: 'lost_by_provider' }];
    });
}

/** Begin of a stream on the clock of the call's first one, ms. */
function offsetOf(result: CallResult, stream: StreamResult): number {
  return stream.startMs - (result.streams[0]?.startMs ?? 0);
}

function resampled(pcm: Int16Array, from: number, to: number): Int16Array {
  const resampler = new Resampler(from, to);
  return joined([resampler.push(pcm), resampler.flush()]);
}

function decoded(payload: Uint8Array): Int16Array {
  const pcm = new Int16Array(payload.length);
  kernels.decodeMulaw(payload, pcm);
  return pcm;
}

export function joined(parts: readonly Int16Array[]): Int16Array {
  const whole = new Int16Array(parts.reduce((samples, part) => samples + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function guarded<T>(name: string, problems: string[], work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    problems.push(`${name}: ${(error as Error).message}`);
    return null;
  }
}
