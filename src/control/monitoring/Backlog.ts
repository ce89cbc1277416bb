import type { Manifest } from '../../spool/Manifest.js';
import type { SpoolEvent } from '../../spool/SpoolEvent.js';

/** Bytes a second of a call at 8 kHz on two channels: what is assumed of one that the recorder hasn't announced yet. */
export const usualRate = 32_000;

/** What lies in the spool and not yet in a store, and what is being added to it. Derived from announcements and the spool itself. */
export class Backlog {
  /** Bytes a second that each live recording adds. */
  readonly #rates = new Map<string, number>();
  readonly #unstored = new Set<string>();

  /** A recording that was found in the spool. */
  found(folder: string, manifest: Manifest): void {
    if (manifest.state === 'recording') this.#begin(folder, manifest);
    else if (!isWithoutAudio(manifest)) this.#unstored.add(folder);
  }

  /** What the recorder announces. */
  take(event: SpoolEvent): void {
    if (event.type === 'started') this.#begin(event.folder, event.manifest);
    else if (event.type === 'ended') {
      this.#rates.delete(event.manifest.recordingId);
      if (isWithoutAudio(event.manifest)) this.#unstored.delete(event.folder);
    }
  }

  /** A recording is whole in its store. */
  finished(folder: string): void {
    this.#unstored.delete(folder);
  }

  /** Whether a recording is live. */
  isLive(recordingId: string): boolean {
    return this.#rates.has(recordingId);
  }

  /** Recordings with audio, live ones included, that are not whole in their store. */
  get unstored(): number {
    return this.#unstored.size;
  }

  /**
   * Bytes a second that these calls add to the spool.
   *
   * @param recordingIds - of the calls that are up; null for one that isn't recorded
   */
  rateOf(recordingIds: readonly (string | null)[]): number {
    return recordingIds.reduce((sum, id) => sum + (id === null ? 0 : (this.#rates.get(id) ?? usualRate)), 0);
  }

  #begin(folder: string, manifest: Manifest): void {
    const { recordingId, sampleRate, channels, state } = manifest;
    const isFailed = state === 'failed';
    // Before the first stream has said, it is two.
    this.#rates.set(recordingId, isFailed ? 0 : sampleRate * 2 * (channels.length || 2));
    if (!isFailed) this.#unstored.add(folder);
  }
}

/** A recording that failed from its beginning: there is nothing to store but its manifest. */
function isWithoutAudio(manifest: Manifest): boolean {
  return manifest.state === 'failed';
}
