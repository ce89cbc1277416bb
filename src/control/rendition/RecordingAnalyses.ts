import { setImmediate as turn } from 'node:timers/promises';
import pLimit from 'p-limit';
import { AudioAnalysis } from '../../audio/AudioAnalysis.js';
import { ReelayError } from '../../config/ReelayError.js';
import type { RecordedAudio } from './RecordedAudio.js';

/** Memory for what was found out, bytes; an hour of two parties takes 1.5 to 3 MB. */
const mostBytes = 32 * 2 ** 20;
/** Recordings that are looked through at once, and that wait for it. */
const atOnce = 2;
const mostWaiting = 64;

interface Entry {
  /** Of sealed chunks only, because they never change; grows with them. */
  analysis: AudioAnalysis;
  /** What is done with it now; one thing at a time. */
  busy: Promise<unknown>;
}

/**
 * What was found out about recordings, the last ones kept: nothing that is sealed is read twice while it is remembered. Of a
 * recording that grows only what is new is looked at.
 */
export class RecordingAnalyses {
  /** The one that was asked for last comes last. */
  readonly #entries = new Map<string, Entry>();
  readonly #limit = pLimit(atOnce);
  readonly #mostBytes: number;

  constructor(most = mostBytes) {
    this.#mostBytes = most;
  }

  /**
   * @returns the analysis of this audio, or of more of the same recording if that was asked for meanwhile
   * @throws ReelayError `too_many_downloads` when too many recordings wait for theirs; what reading the audio throws
   */
  async of(recordingId: string, audio: RecordedAudio): Promise<AudioAnalysis> {
    const entry = this.#entryOf(recordingId, audio);
    const analysed = entry.busy.then(
      async () => await this.#limit(async () => await this.#brought(entry, audio)),
    );
    entry.busy = analysed.catch(() => undefined);
    const analysis = await analysed;
    this.#makeRoom();
    return analysis;
  }

  #entryOf(recordingId: string, audio: RecordedAudio): Entry {
    let entry = this.#entries.get(recordingId);
    if (entry === undefined) {
      if (this.#limit.pendingCount >= mostWaiting)
        throw new ReelayError('too_many_downloads', {
          value: mostWaiting,
          remedy: 'Ask again in some seconds.',
        });
      entry = { analysis: new AudioAnalysis(audio), busy: Promise.resolve() };
    }
    this.#entries.delete(recordingId);
    this.#entries.set(recordingId, entry);
    return entry;
  }

  async #brought(entry: Entry, audio: RecordedAudio): Promise<AudioAnalysis> {
    if (!fits(entry.analysis, audio)) entry.analysis = new AudioAnalysis(audio);
    await extended(entry.analysis, audio, audio.sealedSamples);
    return await extended(entry.analysis.copy(), audio, audio.samples);
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

/** Looks at what comes next, up to a sample. Broken off, it goes on from where it was. */
async function extended(analysis: AudioAnalysis, audio: RecordedAudio, end: number): Promise<AudioAnalysis> {
  for await (const pcm of audio.read({ start: analysis.samples, end })) {
    analysis.push(pcm);
    await turn();
  }
  return analysis;
}
