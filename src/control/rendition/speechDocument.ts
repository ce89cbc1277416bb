import type { SpeechSegments } from '../../audio/SpeechSegments.js';
import type { Channel, Gap, Manifest, ManifestEvent } from '../../spool/Manifest.js';
import { wallClockAt, wallClockMs, type RecordingClock } from '../../spool/wallClock.js';

/** A stretch of `segments.json`. Positions and lengths are samples at the recording's rate, times ISO 8601. */
interface Stretch {
  readonly startSample: number;
  readonly samples: number;
  readonly startTime: string;
  readonly endTime: string;
  readonly startSeconds: number;
  readonly endSeconds: number;
}

/** `segments.json`: what a transcript is aligned by. */
export interface SpeechDocument {
  readonly schema: 1;
  readonly recordingId: string;
  readonly callId: string;
  /** Of a room: who it is that speaks, where one lane was asked for. */
  readonly lane?: string | undefined;
  readonly state: Manifest['state'];
  /** Wall clock of sample 0. */
  readonly startTime: string;
  readonly sampleRate: number;
  /** Per channel, as far as it was looked at. */
  readonly samples: number;
  readonly channels: readonly Channel[];
  /** By their beginning. One that is open reached the end of a recording that still grows, and may become longer. */
  readonly segments: readonly (Stretch &
    Channel & { readonly channel: number; readonly levelDb: number; readonly isOpen: boolean })[];
  /** Marks, digits and the others of the manifest, each with its time. */
  readonly events: readonly (ManifestEvent & { readonly time: string; readonly seconds: number })[];
  /** Where nothing was recorded, which is not a pause of whoever speaks. */
  readonly gaps: readonly (Stretch & Gap)[];
}

/**
 * @param speech - one per channel
 */
export function speechDocument(
  manifest: Manifest,
  speech: readonly SpeechSegments[],
  lane?: string,
): SpeechDocument {
  const { recordingId, callId, state, startTime, sampleRate, channels } = manifest;
  const isGrowing = state === 'recording';
  const segments = speech.flatMap((of, channel) =>
    of.segments.map((segment) => ({
      channel,
      role: channels[channel]?.role ?? 'mixed',
      ...placed(manifest, segment),
      levelDb: segment.levelDb,
      isOpen: segment.isOpen && isGrowing,
    })),
  );
  return {
    schema: 1,
    recordingId,
    callId,
    ...(lane === undefined ? {} : { lane }),
    state,
    startTime,
    sampleRate,
    samples: speech[0]?.samples ?? 0,
    channels,
    segments: segments.sort((a, b) => a.startSample - b.startSample || a.channel - b.channel),
    events: manifest.events.map((event) => ({
      ...event,
      time: wallClockAt(manifest, event.sample),
      seconds: event.sample / sampleRate,
    })),
    gaps: manifest.gaps.map((gap) => ({ ...gap, ...placed(manifest, gap), ...skippedTimes(manifest, gap) })),
  };
}

function placed(
  clock: RecordingClock,
  { startSample, samples }: Pick<Stretch, 'startSample' | 'samples'>,
): Stretch {
  const end = startSample + samples;
  return {
    startSample,
    samples,
    startTime: wallClockAt(clock, startSample),
    // Of its last sample, since what was skipped at its end isn't in it.
    endTime: new Date(
      wallClockMs(clock, Math.max(startSample, end - 1)) + 1000 / clock.sampleRate,
    ).toISOString(),
    startSeconds: startSample / clock.sampleRate,
    endSeconds: end / clock.sampleRate,
  };
}

/** What was skipped has a beginning and an end in the call, and none in the recording. */
function skippedTimes(clock: RecordingClock, { startSample, skippedSamples }: Gap): Partial<Stretch> {
  if (skippedSamples === undefined) return {};
  const endMs = wallClockMs(clock, startSample);
  const startMs = endMs - (skippedSamples / clock.sampleRate) * 1000;
  return { startTime: new Date(startMs).toISOString(), endTime: new Date(endMs).toISOString() };
}
