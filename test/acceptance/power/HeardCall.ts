import { kernels } from '../../../src/audio/kernels.js';
import { channelOf, samplesOf } from '../../../src/audio/pcm.js';
import type { CallResult } from '../../../src/simulators/CallResult.js';
import type { NumberedCall } from '../NumberedCall.js';
import { numberedIn } from '../NumberedCall.js';
import { joined } from '../Oracle.js';
import { stretchesIn } from '../Placement.js';

/** A call as its caller knows it. All times are ms of `performance.now()`. */
export interface HeardCall {
  readonly callId: string;
  readonly beganMs: number;
  /** When it ended by itself; Infinity when the daemon was killed under it. */
  readonly endedMs: number;
  /**
   * When the daemon that heard it was killed, also after the call's end: what was said last may not have been written down by then.
   * Infinity where that daemon was stopped.
   */
  readonly cutMs: number;
  /** Samples that had been said at a moment, or, where the provider paces them, were known to be taken in. */
  readonly saidBy: (atMs: number) => number;
  /** When the sample at this index had been said; Infinity when it wasn't. */
  readonly saidMs: (index: number) => number;
  /**
   * How many of the call's samples a recording has, from the first one on without a hole. Behind a hole more of them may follow.
   *
   * @throws Error when there is anything else in it
   */
  readonly samplesIn: (channels: readonly Int16Array[]) => number;
}

/** A call of one of the simulators. */
export function heardOf(result: CallResult, cutMs: number): HeardCall {
  const [stream] = result.streams;
  if (stream === undefined) throw new Error(`${result.callSid} was refused`);
  const frames = stream.frames.map(({ payload, sentMs }) => ({
    pcm: decoded(result, payload),
    atMs: stream.startMs + sentMs,
  }));
  const said = joined(frames.map(({ pcm }) => pcm));
  let samples = 0;
  const ends = frames.map(({ pcm, atMs }) => ({ samples: (samples += pcm.length), atMs }));
  const wasCut = stream.closedBy !== 'caller';
  return {
    callId: result.callSid,
    beganMs: stream.startMs,
    endedMs: wasCut ? Infinity : stream.startMs + stream.endMs,
    cutMs: stream.startMs < cutMs ? cutMs : Infinity,
    saidBy: (atMs) => ends.findLast((each) => each.atMs <= atMs)?.samples ?? 0,
    saidMs: (index) => ends.find((each) => each.samples > index)?.atMs ?? Infinity,
    samplesIn: ([caller = new Int16Array(0)]) => {
      const [whole] = stretchesIn(caller, said);
      return whole?.index === 0 ? whole.samples : 0;
    },
  };
}

/** A call whose samples are numbered: what the daemon acknowledged counts. */
export function numberedCall(call: NumberedCall, cutMs: number): HeardCall {
  const { options, acknowledged } = call;
  const beganMs = acknowledged[0]?.atMs ?? Infinity;
  return {
    callId: options.callSid,
    beganMs,
    endedMs: call.ended ? (acknowledged.at(-1)?.atMs ?? Infinity) : Infinity,
    cutMs: beganMs < cutMs ? cutMs : Infinity,
    saidBy: (atMs) => call.acknowledgedAt(atMs),
    saidMs: (index) => acknowledged.find(({ samples }) => samples > index)?.atMs ?? Infinity,
    // On the other side is what the bot has answered.
    samplesIn: ([left = new Int16Array(0)]) => {
      const pcm = new Int16Array(left.length * 2);
      for (let at = 0; at < left.length; at += 1) pcm[at * 2] = left[at] ?? 0;
      return numberedIn(pcm, options.seed, 0).samples;
    },
  };
}

function decoded({ provider, channels }: CallResult, payload: Uint8Array): Int16Array {
  if (provider === 'jambonz') return channelOf(samplesOf(payload), 0, channels);
  const pcm = new Int16Array(payload.length);
  kernels.decodeMulaw(payload, pcm);
  return pcm;
}
