import type { Manifest } from '../../spool/Manifest.js';

/** Recordings remembered so that none is told twice. */
const mostRemembered = 100_000;

/**
 * Recordings that failed, each told once. The recorder announces an end again when it was killed before it had noted it, and a
 * successor of this thread finds in the spool what its predecessor has told.
 */
export class FailedRecordings {
  readonly #told = new Set<string>();
  readonly #tell: (manifest: Manifest) => void;

  constructor(tell: (manifest: Manifest) => void) {
    this.#tell = tell;
  }

  /** One that lay in the spool at the start: whoever was here when it ended has told it. */
  found({ recordingId, state, endTime }: Manifest): void {
    if (state === 'failed' && endTime !== null) this.#remember(recordingId);
  }

  /** A recording is over. */
  ended(manifest: Manifest): void {
    if (manifest.state !== 'failed' || this.#told.has(manifest.recordingId)) return;
    this.#remember(manifest.recordingId);
    this.#tell(manifest);
  }

  #remember(recordingId: string): void {
    this.#told.add(recordingId);
    for (const oldest of this.#told) {
      if (this.#told.size <= mostRemembered) break;
      this.#told.delete(oldest);
    }
  }
}
