import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Logger } from 'pino';
import { idsIn } from '../../spool/layout.js';
import type { Manifest } from '../../spool/Manifest.js';
import type { Library } from './Library.js';

export interface ForeignRecordingsOptions {
  readonly spoolDir: string;
  readonly library: Pick<Library, 'refresh'>;
  readonly log: Logger;
}

/** Recordings that another daemon has in the spool: nobody here is told how far they are, so it is looked up. */
export class ForeignRecordings {
  readonly #options: ForeignRecordingsOptions;
  readonly #folders = new Set<string>();

  constructor(options: ForeignRecordingsOptions) {
    this.#options = options;
  }

  /** One was found in the spool. */
  found(folder: string): void {
    this.#folders.add(folder);
  }

  /** The own recorder has announced it: it is this daemon's now. */
  announced(folder: string): void {
    this.#folders.delete(folder);
  }

  /** Shows what has left the spool as it lies in its store. */
  async look(): Promise<void> {
    for (const folder of this.#folders) {
      if (await this.#isSpooled(folder)) continue;
      if ((await this.#refresh(folder)) !== null) this.#folders.delete(folder);
    }
  }

  /** The other daemon is gone. @param left - told of what it has left in the spool */
  async takeUp(left: (folder: string, manifest: Manifest) => void): Promise<void> {
    for (const folder of this.#folders) {
      const isSpooled = await this.#isSpooled(folder);
      const manifest = await this.#refresh(folder);
      if (manifest === null) continue;
      if (isSpooled) left(folder, manifest);
      this.#folders.delete(folder);
    }
  }

  /** Null: its store can't be asked now, and is asked again at the next look; or nobody has a manifest of it. */
  async #refresh(folder: string): Promise<Manifest | null> {
    const { library, log } = this.#options;
    return await library.refresh(basename(folder)).catch((error: unknown) => {
      log.debug(
        { err: error, ...idsIn(folder), folder },
        'a recording of another daemon cannot be looked up',
      );
      return null;
    });
  }

  async #isSpooled(folder: string): Promise<boolean> {
    return (await stat(join(this.#options.spoolDir, folder)).catch(() => undefined)) !== undefined;
  }
}
