import { skippedUpTo } from './gaps.js';
import type { Manifest } from './Manifest.js';

/** What a recording's samples are timed by. */
export type RecordingClock = Pick<Manifest, 'startTime' | 'sampleRate' | 'gaps'>;

/** The wall clock of a sample, ms since the Unix epoch. What was skipped at it lies before it. */
export function wallClockMs({ startTime, sampleRate, gaps }: RecordingClock, sample: number): number {
  return Date.parse(startTime) + ((sample + skippedUpTo(gaps, 0, sample)) / sampleRate) * 1000;
}

/** The same as ISO 8601. */
export function wallClockAt(clock: RecordingClock, sample: number): string {
  return new Date(wallClockMs(clock, sample)).toISOString();
}

/** The sample at a time, the nearer of two; a time in what was skipped is where that was, one before the recording its start. */
export function sampleAt({ startTime, sampleRate, gaps }: RecordingClock, ms: number): number {
  let sample = Math.round(((ms - Date.parse(startTime)) / 1000) * sampleRate);
  for (const { channel, startSample, skippedSamples = 0 } of gaps) {
    if (channel !== 0 || sample <= startSample) continue;
    sample = Math.max(startSample, sample - skippedSamples);
  }
  return Math.max(0, sample);
}
