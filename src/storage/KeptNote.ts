import { type DurableWrite, type UploadNote, writeNote } from './UploadNote.js';

/**
 * A recording's note while it is being worked on. Changes that come while it is being written go into the next writing
 * together: chunks that are stored side by side share their syncs.
 */
export class KeptNote {
  readonly #path: string;
  readonly #write: DurableWrite | undefined;
  #content: UploadNote;
  #writing: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  /** @param path - of the recording's folder */
  constructor(path: string, content: UploadNote, write?: DurableWrite) {
    this.#path = path;
    this.#write = write;
    this.#content = content;
  }

  /** With every change, also those that are not on the disk yet. */
  get content(): UploadNote {
    return this.#content;
  }

  /** Resolves when the change is on the disk. @throws the file system's error */
  async change(change: (content: UploadNote) => UploadNote): Promise<void> {
    this.#content = change(this.#content);
    this.#next ??= this.#writeAfter(this.#writing);
    await this.#next;
  }

  /** Resolves when nothing is being written. */
  async rest(): Promise<void> {
    for (let last = this.#last(); last !== null; last = this.#last()) await last.catch(() => undefined);
  }

  #last(): Promise<void> | null {
    return this.#next ?? this.#writing;
  }

  async #writeAfter(before: Promise<void> | null): Promise<void> {
    await before?.catch(() => undefined);
    const writing = (this.#writing = this.#next);
    this.#next = null;
    try {
      await writeNote(this.#path, this.#content, this.#write);
    } finally {
      if (this.#writing === writing) this.#writing = null;
    }
  }
}
