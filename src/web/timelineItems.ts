import type { Gap } from '../spool/Manifest.js';
import type { Manifest } from './documents.js';
import { explain } from './explain.js';
import { roughTime } from './formatTime.js';

/** Something on the timeline beside the audio: an event, or a gap. */
export interface TimelineItem {
  readonly kind: 'dtmf' | 'mark' | 'clear' | 'pause' | 'stream' | 'gap' | 'other';
  /** Where it is; of a gap where it begins. */
  readonly sample: number;
  /** Of a gap; 0 of what has no length. */
  readonly samples: number;
  /** Of a gap: those it is on. */
  readonly channels: readonly number[];
  /** A word or two. */
  readonly label: string;
  /** Empty, or whatever else is known. */
  readonly detail: string;
}

/** What is drawn for an event of a type; others are listed only. */
const kinds: Readonly<Record<string, TimelineItem['kind']>> = {
  dtmf: 'dtmf',
  mark: 'mark',
  clear: 'clear',
  paused: 'pause',
  resumed: 'pause',
  recording_stopped: 'pause',
  stream_started: 'stream',
  stream_ended: 'stream',
};

/** Events and gaps of a recording by their time. A gap that is the same on several channels is one. */
export function timelineItems(
  manifest: Pick<Manifest, 'events' | 'gaps' | 'sampleRate' | 'channels'>,
): TimelineItem[] {
  const events = manifest.events.map(({ type, sample, ...details }): TimelineItem => {
    const kind = kinds[type] ?? 'other';
    return { kind, sample, samples: 0, channels: [], label: explain.event(type), detail: detailOf(details) };
  });
  return [...events, ...gapItems(manifest)].sort((a, b) => a.sample - b.sample);
}

function gapItems({
  gaps,
  sampleRate,
  channels,
}: Pick<Manifest, 'gaps' | 'sampleRate' | 'channels'>): TimelineItem[] {
  const groups = new Map<string, Gap[]>();
  for (const gap of gaps) {
    const key = [gap.startSample, gap.samples, gap.cause, gap.skippedSamples ?? 0].join(' ');
    groups.set(key, [...(groups.get(key) ?? []), gap]);
  }
  return [...groups.values()].flatMap(([first, ...others]) => {
    if (first === undefined) return [];
    const on = [first, ...others].map(({ channel }) => channel);
    const roles = on.map((channel) => channels[channel]?.role ?? `channel ${channel}`).join(' and ');
    const { startSample, samples, skippedSamples = 0, cause } = first;
    const missing = (samples + skippedSamples) / sampleRate;
    const left = skippedSamples > 0 ? 'left out' : 'silence instead';
    const detail = `${explain.gap(cause)}; ${lengthOf(missing)} of ${roles}, ${left}`;
    return [{ kind: 'gap' as const, sample: startSample, samples, channels: on, label: 'gap', detail }];
  });
}

function lengthOf(seconds: number): string {
  return seconds < 60 ? `${Number(seconds.toFixed(2))} s` : roughTime(seconds);
}

/** The details of an event as the manifest has them, in words. */
function detailOf(details: Readonly<Record<string, unknown>>): string {
  const { digit, name, durationMs, played, streamId, mode, ...rest } = details;
  const said: string[] = [];
  if (typeof digit === 'string') said.push(digit);
  if (typeof name === 'string') said.push(name);
  if (typeof durationMs === 'number') said.push(`${durationMs} ms`);
  if (played === false) said.push('not played: a clear came before');
  if (typeof mode === 'string') said.push(mode === 'skip' ? 'left out' : 'as silence');
  if (typeof streamId === 'string') said.push(streamId);
  for (const [key, value] of Object.entries(rest))
    if (typeof value === 'string' || typeof value === 'number') said.push(`${key} ${value}`);
  return said.join(', ');
}
