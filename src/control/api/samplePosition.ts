import { ReelayError } from '../../config/ReelayError.js';
import { sampleAt, type RecordingClock } from '../../spool/wallClock.js';
import type { SampleRange } from '../rendition/RecordedAudio.js';

/**
 * A position as a request names it: a sample (`8000`), seconds from the start (`1.5s`), or the wall clock as ISO 8601 with a zone.
 * A time between two samples is the nearer one; what lies before the recording is its start.
 *
 * @throws ReelayError `request_invalid`
 */
export function samplePosition(text: string, clock: RecordingClock): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const [, seconds] = /^(\d{1,9}(?:\.\d{1,9})?)s$/.exec(text) ?? [];
  if (seconds !== undefined) return Math.round(Number(seconds) * clock.sampleRate);
  const at = clockTime.test(text) ? Date.parse(text) : NaN;
  if (!Number.isNaN(at)) return sampleAt(clock, at);
  throw new ReelayError('request_invalid', {
    value: text,
    remedy: 'A position is a sample (8000), seconds (1.5s), or a time such as 2026-11-20T12:00:01.500Z.',
  });
}

const clockTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;

/**
 * A stretch as a request names it, cut to what there is.
 *
 * @param samples - of the recording so far
 * @throws ReelayError `request_invalid` when it has no length, `range_unsatisfiable` when all of it lies behind the end
 */
export function sampleRange(
  { from, to }: { readonly from?: string | undefined; readonly to?: string | undefined },
  clock: RecordingClock,
  samples: number,
): SampleRange {
  if (from === undefined && to === undefined) return { start: 0, end: samples };
  const start = from === undefined ? 0 : samplePosition(from, clock);
  const end = to === undefined ? Math.max(samples, start + 1) : samplePosition(to, clock);
  if (end <= start)
    throw new ReelayError('request_invalid', {
      value: `from ${start} to ${end}`,
      remedy: 'The end has to be behind the beginning; it is the first sample that is left out.',
    });
  if (start >= samples)
    throw new ReelayError('range_unsatisfiable', {
      value: `from sample ${start}`,
      remedy: `There are ${samples} samples.`,
    });
  return { start, end: Math.min(end, samples) };
}
