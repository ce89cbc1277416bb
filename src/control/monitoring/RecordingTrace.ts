import { createHash } from 'node:crypto';
import type { Manifest } from '../../spool/Manifest.js';
import { wallClockMs } from '../../spool/wallClock.js';

/** Something that happened at one moment of a span. */
export interface TraceEvent {
  readonly name: string;
  /** Unix time, ms. */
  readonly atMs: number;
  readonly attributes: Readonly<Record<string, string | number>>;
}

/**
 * The trace of a recording: its id without the hyphens, which is 32 digits of hex for those that reelay gives. So whoever has the one has the
 * other, and what several processes tell of one recording, or one process twice, is one trace.
 */
export function traceIdOf(recordingId: string): string {
  const plain = recordingId.replaceAll('-', '').toLowerCase();
  return /^(?!0{32})[0-9a-f]{32}$/.test(plain) ? plain : hexOf(recordingId).slice(0, 32);
}

/** The span of the whole recording, or of one of its chunks; the same in every process. */
export function spanIdOf(recordingId: string, chunk?: number): string {
  return hexOf(chunk === undefined ? recordingId : `${recordingId} ${chunk}`).slice(0, 16);
}

/** Events of a manifest that say something of how its recording went; the others are what the parties did. */
const told = new Set([
  'paused',
  'resumed',
  'recording_stopped',
  'upstream_lost',
  'upstream_ended',
  'upstream_overflow',
  'client_overrun',
  'dropped_by_reelay',
  'journal_damaged',
  'manifest_rebuilt',
]);
/** Details of these that are no words of the parties. */
const details = ['mode', 'code', 'samples', 'records', 'skippedSamples'] as const;
/** A span holds so many; of more, the first. */
const mostEvents = 100;

/** Gaps, pauses and the like, in the order in which they happened. */
export function traceEvents(manifest: Manifest): TraceEvent[] {
  const { events, gaps, sampleRate, endTime } = manifest;
  const happened = events
    .filter(({ type }) => told.has(type))
    .slice(0, mostEvents)
    .map(({ type, sample, ...rest }) => {
      const known = details.flatMap((key) => (isPlain(rest[key]) ? [[key, rest[key]] as const] : []));
      return event(type, wallClockMs(manifest, sample), Object.fromEntries(known));
    });
  const missing = gaps
    .slice(0, mostEvents)
    .map(({ channel, startSample, samples, cause, skippedSamples = 0 }) => {
      const ms = Math.round(((samples + skippedSamples) / sampleRate) * 1000);
      return event('gap', wallClockMs(manifest, startSample), { cause, channel, ms });
    });
  const ended = endTime === null ? [] : [event('ended', Date.parse(endTime), {})];
  const ordered = [...happened, ...missing].sort((a, b) => a.atMs - b.atMs);
  return [...ordered.slice(0, mostEvents), ...ended];
}

function event(name: string, atMs: number, attributes: TraceEvent['attributes']): TraceEvent {
  return { name, atMs, attributes };
}

function isPlain(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number';
}

function hexOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
