import { setImmediate as turn } from 'node:timers/promises';
import pLimit, { type LimitFunction } from 'p-limit';
import { AudioAnalysis } from '../../audio/AudioAnalysis.js';
import { ReelayError } from '../../config/ReelayError.js';
import type { RecordedAudio } from './RecordedAudio.js';

/** Memory for what was found out, bytes; an hour of two parties takes 1.5 to 3 MB. */
const mostBytes = 32 * 2 ** 20;
/** Recordings that are looked through at once, and those that wait for it included; half of either for one account. */
const atOnce = 2;
const mostInWork = 66;
/** Questions that wait for the same recording. */
const mostAskers = 64;

/** Who wants to know. */
export interface Asker {
  /** Whose recording it is. */
  readonly accountId: string;
  /** Aborted when nobody waits for the answer any more. */
  readonly gone: AbortSignal;
}

interface Entry {
  /** Of sealed chunks only, because they never change; grows with them. */
  analysis: AudioAnalysis;
  /** What is done with it now; one thing at a time. */
  busy: Promise<unknown>;
  /** Those who wait for it, or did when they asked. */
  readonly askers: Set<AbortSignal>;
}

/**
 * What was found out about recordings, the last ones kept: nothing that is sealed is read twice while it is remembered. Of a
 * recording that grows only what is new is looked at.
 */
export class RecordingAnalyses {
  /** The one that was asked for last comes last. */
  readonly #entries = new Map<string, Entry>();
  readonly #limit = pLimit(atOnce);
  /** One for each account that waits for something. */
  readonly #lines = new Map<string, LimitFunction>();
  /** Recordings that somebody waits for, or did when it was asked for; by account. */
  readonly #inWork = new Map<string, number>();
  readonly #mostBytes: number;

  constructor(most = mostBytes) {
    this.#mostBytes = most;
  }

  /**
   * @returns the analysis of this audio, or of more of the same recording if that was asked for meanwhile; null when everybody who asked
   *   has gone before it was done
   * @throws ReelayError `too_many_downloads` when too many recordings wait for theirs; what reading the audio throws
   */
  async of(
    recordingId: string,
    audio: RecordedAudio,
    { accountId, gone }: Asker = { accountId: '', gone: new AbortController().signal },
  ): Promise<AudioAnalysis | null> {
    const entry = this.#entryOf(accountId, recordingId, audio);
    const analysed = entry.busy.then(
      async () => await this.#inLine(accountId, async () => await brought(entry, audio)),
    );
    entry.busy = analysed.catch(() => undefined);
    if (entry.askers.size === 0) this.#count(accountId, 1);
    entry.askers.add(gone);
    try {
      const analysis = await analysed;
      this.#makeRoom();
      return analysis;
    } finally {
      entry.askers.delete(gone);
      if (entry.askers.size === 0) this.#count(accountId, -1);
    }
  }

  /** @throws ReelayError `too_many_downloads` */
  #entryOf(accountId: string, recordingId: string, audio: RecordedAudio): Entry {
    const name = `${accountId} ${recordingId}`;
    const entry = this.#entries.get(name) ?? {
      analysis: new AudioAnalysis(audio),
      busy: Promise.resolve(),
      askers: new Set(),
    };
    const all = [...this.#inWork.values()].reduce((sum, each) => sum + each, 0);
    const isFull = all >= mostInWork || (this.#inWork.get(accountId) ?? 0) >= mostInWork / 2;
    if (entry.askers.size === 0 ? isFull : entry.askers.size >= mostAskers)
      throw new ReelayError('too_many_downloads', { remedy: 'Ask again in some seconds.' });
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    return entry;
  }

  #count(accountId: string, more: 1 | -1): void {
    const count = (this.#inWork.get(accountId) ?? 0) + more;
    if (count === 0) this.#inWork.delete(accountId);
    else this.#inWork.set(accountId, count);
  }

  /** First behind the same account's, so that it never has more than half of what is done at once. */
  async #inLine<T>(accountId: string, work: () => Promise<T>): Promise<T> {
    const line = this.#lines.get(accountId) ?? pLimit(atOnce / 2);
    this.#lines.set(accountId, line);
    try {
      return await line(async () => await this.#limit(work));
    } finally {
      if (line.activeCount + line.pendingCount === 0) this.#lines.delete(accountId);
    }
  }

  /** The last one stays however much it takes, else a day's recording would be read anew at each question. */
  #makeRoom(): void {
    const [last, ...others] = [...this.#entries].reverse();
    let bytes = last?.[1].analysis.waveform.bytes ?? 0;
    for (const [recordingId, { analysis }] of others) {
      bytes += analysis.waveform.bytes;
      if (bytes > this.#mostBytes) this.#entries.delete(recordingId);
    }
  }
}

/** The first audio of a recording may have come between its manifest and what the growing chunk says of itself. */
function fits({ waveform }: AudioAnalysis, audio: RecordedAudio): boolean {
  return waveform.sampleRate === audio.sampleRate && waveform.channels === audio.channels;
}

/** @returns null when nobody waits for it any more; what was found by then stays */
async function brought(entry: Entry, audio: RecordedAudio): Promise<AudioAnalysis | null> {
  if (!fits(entry.analysis, audio)) entry.analysis = new AudioAnalysis(audio);
  const { analysis, askers } = entry;
  const isWanted = (): boolean => [...askers].some(({ aborted }) => !aborted);
  if (!(await extend(analysis, audio, audio.sealedSamples, isWanted))) return null;
  const copy = analysis.copy();
  return (await extend(copy, audio, audio.samples, isWanted)) ? copy : null;
}

/**
 * Looks at what comes next, up to a sample. Broken off, it goes on from where it was.
 *
 * @returns false when it was broken off since nobody wants it any more
 */
async function extend(
  analysis: AudioAnalysis,
  audio: RecordedAudio,
  end: number,
  isWanted: () => boolean,
): Promise<boolean> {
  if (!isWanted()) return false;
  for await (const pcm of audio.read({ start: analysis.samples, end })) {
    if (!isWanted()) return false;
    analysis.push(pcm);
    await turn();
  }
  return true;
}
