import type { SpeechSegments } from '../audio/SpeechSegments.js';
import type { Channel, Gap, Manifest, ManifestEvent } from '../spool/Manifest.js';

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
export function speechDocument(manifest: Manifest, speech: readonly SpeechSegments[]): SpeechDocument {
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
    state,
    startTime,
    sampleRate,
    samples: speech[0]?.samples ?? 0,
    channels,
    segments: segments.sort((a, b) => a.startSample - b.startSample || a.channel - b.channel),
    events: manifest.events.map((event) => ({
      ...event,
      time: timeAt(manifest, event.sample),
      seconds: event.sample / sampleRate,
    })),
    gaps: manifest.gaps.map((gap) => ({ ...gap, ...placed(manifest, gap) })),
  };
}

function placed(
  clock: Pick<Manifest, 'startTime' | 'sampleRate'>,
  { startSample, samples }: Pick<Stretch, 'startSample' | 'samples'>,
): Stretch {
  const end = startSample + samples;
  return {
    startSample,
    samples,
    startTime: timeAt(clock, startSample),
    endTime: timeAt(clock, end),
    startSeconds: startSample / clock.sampleRate,
    endSeconds: end / clock.sampleRate,
  };
}

function timeAt(
  { startTime, sampleRate }: Pick<Manifest, 'startTime' | 'sampleRate'>,
  sample: number,
): string {
  return new Date(Date.parse(startTime) + (sample / sampleRate) * 1000).toISOString();
}
