import type { AccountConfig } from '../config/Config.js';
import type { Dialect, StartEvent } from '../providers/Dialect.js';
import type { StreamFacts } from '../tap/TapRecord.js';

/**
 * How the recorder has to place what comes over a stream: the dialect's capabilities and the account's configuration as
 * plain data, so that a journal can be rendered without either.
 */
export function streamFacts(stream: {
  readonly dialect: Dialect;
  /** Null: not known, or not yet; nothing comes back on such a stream. */
  readonly account: AccountConfig | null;
  readonly start: StartEvent;
  readonly streamId: string;
  readonly role: StreamFacts['role'];
  readonly arrivalMs: number;
}): StreamFacts {
  const { dialect, account, start, streamId, role, arrivalMs } = stream;
  const { capabilities } = dialect;
  const raw = capabilities.framing === 'binary';
  return {
    streamId,
    role,
    wallClockMs: wallClockAt(arrivalMs),
    sampleRate: start.sampleRate,
    placement: capabilities.timestamps ? 'timestamp' : 'count',
    tracks: start.tracks,
    playout: role === 'call' && account !== null ? playout(dialect, account, start) : 'none',
    returnSampleRate: raw ? (account?.jambonz.returnSampleRate ?? start.sampleRate) : start.sampleRate,
    legSampleRate: raw ? (account?.jambonz.legSampleRate ?? start.sampleRate) : start.sampleRate,
    amendMs: capabilities.amendMs,
    marksTellPlayout: capabilities.marks === 'played',
    overrunFingerprint: raw,
  };
}

/** What the wall clock said at a time of the monotonic one, ms since the Unix epoch: what was held back came earlier. */
export function wallClockAt(arrivalMs: number): number {
  return Math.round(Date.now() - (performance.now() - arrivalMs));
}

function playout(dialect: Dialect, account: AccountConfig, start: StartEvent): StreamFacts['playout'] {
  if (dialect.capabilities.framing !== 'binary') return 'queue';
  if (account.jambonz.returns === 'streaming') return 'prebuffered';
  if (account.jambonz.returns === 'none') return 'none';
  // A fork of both directions hears the clips itself: laying them down again would double them.
  return start.tracks.some((track) => track === 'both' || track === 'mixed') ? 'heard' : 'clips';
}
