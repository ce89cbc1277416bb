import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isForbidden, syncFolder } from './durable.js';

/** Folders whose names are known to be safe; an hour of many calls has more, which are made safe once more then. */
const mostKnown = 1024;

/**
 * Makes folders below a root whose names survive a loss of power, all the way down: a file that is synced in a folder that isn't
 * is lost with it. Each is made safe once in this thread, also when somebody else has made it, who may have been killed before.
 */
export class DurableFolders {
  static readonly #byRoot = new Map<string, DurableFolders>();
  readonly #root: string;
  readonly #known = new Map<string, Promise<void>>();

  private constructor(root: string) {
    this.#root = root;
  }

  /** @param root - absolute */
  static below(root: string): DurableFolders {
    let folders = this.#byRoot.get(root);
    if (folders === undefined) this.#byRoot.set(root, (folders = new DurableFolders(root)));
    return folders;
  }

  /**
   * Resolves when the folder is there and its name is safe, and those of the folders above it.
   *
   * @param path - the root, or below it
   * @throws the file system's error
   */
  async make(path: string): Promise<void> {
    const first = await mkdir(path, { recursive: true });
    // What was known of folders that were taken away meanwhile isn't true any more.
    if (first !== undefined)
      for (let made = path; made.length >= first.length && made !== dirname(made); made = dirname(made))
        this.#known.delete(made);
    await this.#secure(path, first ?? path);
  }

  #secure(path: string, first: string): Promise<void> {
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    if (this.#known.size >= mostKnown) this.#known.clear();
    const secured = this.#sync(path, first).catch((error: unknown) => {
      this.#known.delete(path);
      throw error;
    });
    this.#known.set(path, secured);
    return secured;
  }

  async #sync(path: string, first: string): Promise<void> {
    const above = dirname(path);
    // Folders above the root are somebody else's, but for those that were made just now.
    const isOurs = path.length > this.#root.length || path.length > first.length;
    if (isOurs) await this.#secure(above, first);
    await syncFolder(above).catch((error: unknown) => {
      if (isOurs || !isForbidden(error)) throw error;
    });
  }
}
