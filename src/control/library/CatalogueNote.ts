import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { DurableWrite } from '../../storage/UploadNote.js';

/** What the next start has to know of the catalogue. */
const note = z.object({
  /** The system's own name of its last boot, while a daemon has the catalogue open; null when it was closed. */
  boot: z.string().nullable(),
  /** Day from which on stores may hold recordings that the catalogue lacks, `YYYYMMDD`; null when there are none. */
  behind: z.string().nullable(),
});
type Note = z.output<typeof note>;

/** What was found at the start. */
export interface FoundNote {
  readonly behind: string | null;
  /** The machine went down while the catalogue was open: what was written last may be lost. */
  readonly isPowerLost: boolean;
}

/**
 * A small file in the spool that says what can't be said in a catalogue that is away. A recording leaves the spool when its store has
 * it, whether or not the catalogue could be told; a successor reads here that it has to look into the stores.
 */
export class CatalogueNote {
  readonly #path: string;
  readonly #write: DurableWrite;
  #noted: Note = { boot: null, behind: null };
  #writing: Promise<void> = Promise.resolve();

  /**
   * @param path - absolute
   * @param write - the way in which control's notes are written, also on a full disk
   */
  constructor(path: string, write: DurableWrite) {
    this.#path = path;
    this.#write = write;
  }

  /** Reads what was left, and notes that the catalogue is in use. @throws the file system's error */
  async begin(): Promise<FoundNote> {
    const boot = await bootName();
    const found = await this.#read();
    await this.#put({ boot, behind: found.behind });
    // A process that was killed loses nothing; a machine that has no name for its boots may have gone down in between.
    return {
      behind: found.behind,
      isPowerLost: found.boot !== null && (found.boot === '' || found.boot !== boot),
    };
  }

  /** From this day on the catalogue may lack something. @throws the file system's error */
  async fallBehind(day: string): Promise<void> {
    const { behind } = this.#noted;
    if (behind === null || behind > day) await this.#put({ ...this.#noted, behind: day });
  }

  /** It lacks nothing. @throws the file system's error */
  async caughtUp(): Promise<void> {
    if (this.#noted.behind !== null) await this.#put({ ...this.#noted, behind: null });
  }

  /** It was closed, and all of it is on the disk. @throws the file system's error */
  async end(): Promise<void> {
    if (this.#noted.boot !== null) await this.#put({ ...this.#noted, boot: null });
  }

  async #put(content: Note): Promise<void> {
    this.#noted = content;
    const mine = this.#writing.then(() => this.#write(this.#path, `${JSON.stringify(content)}\n`));
    this.#writing = mine.catch(() => undefined);
    await mine;
  }

  async #read(): Promise<Note> {
    try {
      return note.parse(JSON.parse(await readFile(this.#path, 'utf8')));
    } catch {
      // There was none, or something else: nothing is known to be wrong.
      return { boot: null, behind: null };
    }
  }
}

/** '' where the system has no such name. */
async function bootName(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim();
}
