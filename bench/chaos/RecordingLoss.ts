import { kernels } from '../../src/audio/kernels.js';
import type { Gap } from '../../src/spool/Manifest.js';
import type { StoredCall } from '../../test/acceptance/StoredCall.js';
import { frameSamples, NumberedFrame } from './NumberedFrame.js';
import type { PartyCallReport } from './PartyMessage.js';

/** What a recording lacks of its call. */
export interface RecordingLoss {
  /** Samples of frames that were relayed and are not in the recording, both channels. */
  readonly lostSamples: number;
  /** Samples in gaps, by cause, both channels. */
  readonly gaps: ReadonlyMap<string, number>;
  /** What may never be: samples that are not the call's, losses without a gap's name, findings of `verify`. */
  readonly problems: readonly string[];
}

/** Byte of mu-law that decodes to silence, and that no frame has. */
const silence = 0xff;
/** Beyond what playing fell behind: what a bot said in the last moment may not have been played when its caller hung up, frames. */
const unplayedFrames = 3;

/** Compares a recording with what its party sent, frame by frame. */
export function recordingLoss(stored: StoredCall, call: PartyCallReport): RecordingLoss {
  const { manifest, channels, findings } = stored;
  const problems = findings.map(({ code, detail }) => `verify: ${code} ${detail}`);
  const gaps = new Map<string, number>();
  for (const { cause, samples } of manifest.gaps) gaps.set(cause, (gaps.get(cause) ?? 0) + samples);
  const wanted = gaps.size === 0 ? 'complete' : 'interrupted';
  if (manifest.state !== wanted) {
    problems.push(
      `is ${manifest.state} (${manifest.reason ?? 'no reason'}) with ${manifest.gaps.length} gaps`,
    );
  }
  const [caller, bot] = channels.map(mulawOf);
  if (caller === undefined || bot === undefined)
    return { lostSamples: 0, gaps, problems: ['has not two channels'] };
  const ofChannel = (channel: number): Gap[] => manifest.gaps.filter((gap) => gap.channel === channel);
  const up = callerLoss(caller, new NumberedFrame(call.callSid, 'up'), call.up.sent, ofChannel(0));
  const unplayed = Math.ceil(call.down.behindMs / 20) + unplayedFrames;
  const down = botLoss(bot, new NumberedFrame(call.callSid, 'down'), call.down.sent, unplayed, ofChannel(1));
  problems.push(...up.problems, ...down.problems);
  return { lostSamples: up.lost + down.lost, gaps, problems };
}

interface ChannelLoss {
  readonly lost: number;
  readonly problems: string[];
}

/** The caller's frames lie where Twilio's clock says: frame n at 160 n. */
function callerLoss(mulaw: Buffer, frame: NumberedFrame, sent: number, gaps: readonly Gap[]): ChannelLoss {
  const problems: string[] = [];
  let lost = 0;
  for (let sequence = 0; sequence < sent; sequence += 1) {
    const at = sequence * frameSamples;
    if (frame.sequenceOf(mulaw, at) === sequence) continue;
    lost += frameSamples;
    if (covered(gaps, at, at + frameSamples) === frameSamples) continue;
    problems.push(`the caller's frame ${sequence} is neither there nor in a gap`);
    if (problems.length === 3) break;
  }
  return { lost, problems };
}

/** The bot's frames lie where they were played: in their order, with silence between. */
function botLoss(
  mulaw: Buffer,
  frame: NumberedFrame,
  sent: number,
  unplayed: number,
  gaps: readonly Gap[],
): ChannelLoss {
  const problems: string[] = [];
  let [lost, next, behind] = [0, 0, 0];
  const missing = (until: number, at: number): void => {
    if (until <= next) return;
    lost += (until - next) * frameSamples;
    // A gap ends where the next frame was played: what was late before it was heard in less time than it lasts.
    if (
      covered(gaps, behind, at) < (until - next - unplayed) * frameSamples ||
      covered(gaps, behind, at) === 0
    ) {
      problems.push(`the bot's frames ${next} to ${until - 1} are missing without a gap as long`);
    }
  };
  for (let at = 0; at < mulaw.length && problems.length < 3;) {
    if (mulaw[at] === silence) {
      at += 1;
      continue;
    }
    const sequence = frame.sequenceOf(mulaw, at);
    if (sequence < next) {
      // A frame that was still being played at the end is cut there.
      if (sequence < 0 && at + frameSamples > mulaw.length) break;
      problems.push(`at the bot's sample ${at} is frame ${sequence}, wanted was ${next}`);
      break;
    }
    missing(sequence, at);
    next = sequence + 1;
    at += frameSamples;
    behind = at;
  }
  if (problems.length === 0) missing(sent - unplayed, mulaw.length);
  return { lost, problems };
}

/** Samples of a stretch that lie in gaps. */
function covered(gaps: readonly Gap[], from: number, to: number): number {
  return gaps.reduce((sum, { startSample, samples }) => {
    return sum + Math.max(0, Math.min(to, startSample + samples) - Math.max(from, startSample));
  }, 0);
}

function mulawOf(samples: Int16Array): Buffer {
  const mulaw = Buffer.alloc(samples.length);
  kernels.encodeMulaw(samples, mulaw);
  return mulaw;
}
