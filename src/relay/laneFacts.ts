import type { ParticipantFacts, StreamFacts } from '../tap/TapRecord.js';
import { wallClockAt } from './streamFacts.js';

/** How far back a lane's audio may be amended, ms: its process may have been held up for some seconds, and lost nothing. */
const amendMs = 5000;

/**
 * How the recorder has to place a lane of a room, whoever brings it: its frames carry no time, so they are counted from where the first
 * one arrived, and nothing is ever played to it.
 */
export function laneFacts(stream: {
  readonly streamId: string;
  /** Its name, see `LaneNames`. */
  readonly lane: string;
  readonly participant: ParticipantFacts;
  /** What its frames are said to have come at is when they were due. */
  readonly isOnTime: boolean;
  /** Hz */
  readonly sampleRate: number;
  /** `performance.now()` of its beginning, ms. */
  readonly arrivalMs: number;
}): StreamFacts {
  const { streamId, lane, participant, isOnTime, sampleRate, arrivalMs } = stream;
  return {
    streamId,
    role: 'lane',
    lane,
    participant,
    isOnTime,
    wallClockMs: wallClockAt(arrivalMs),
    sampleRate,
    placement: 'arrival-count',
    tracks: ['caller'],
    playout: 'none',
    returnSampleRate: sampleRate,
    legSampleRate: sampleRate,
    amendMs,
    marksTellPlayout: false,
    overrunFingerprint: false,
  };
}
