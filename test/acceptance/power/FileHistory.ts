/** A disk writes this many bytes whole or not at all. */
export const sectorBytes = 512;

/** A change of a file's content that no sync has covered yet. */
interface Change {
  readonly endNs: number;
  readonly position: number;
  /** Null: the file was cut, or grown, to `position`. */
  readonly data: Buffer | null;
}

/** How likely it is that something unsynced is there after all, 0 to 1. */
export interface Luck {
  readonly names: number;
  readonly data: number;
}

/** The content of one file: what is safe, and what was changed since. */
export class FileHistory {
  #synced = Buffer.alloc(0);
  #syncedBytes = 0;
  #pending: Change[] = [];

  write(endNs: number, position: number, data: Buffer): void {
    this.#pending.push({ endNs, position, data });
  }

  truncate(endNs: number, bytes: number): void {
    this.#pending.push({ endNs, position: bytes, data: null });
  }

  /** Everything that had ended before the sync began is safe. */
  sync(beginNs: number): void {
    while (this.#pending[0] !== undefined && this.#pending[0].endNs <= beginNs) {
      const change = this.#pending.shift();
      if (change !== undefined) this.#apply(change);
    }
  }

  /** The content as the processes saw it. */
  get current(): Buffer {
    return this.#content(this.#pending.length, () => this.#pending.length);
  }

  get isSafe(): boolean {
    return this.#pending.length === 0;
  }

  /**
   * The content that a disk may be left with: each sector as it was after any of the unsynced changes or before them, and the
   * size likewise, so that what was never written reads as zeros.
   */
  survivor(random: () => number, { data }: Luck): Buffer {
    const changes = this.#pending.length;
    if (changes === 0) return this.current;
    const some = (): number => Math.floor(random() * (changes + 1));
    const after = (): number =>
      random() < data ? (random() < 0.8 ? changes : some()) : random() < 0.8 ? 0 : some();
    // A size may be on the disk before the data that it is for.
    const size = random() < 0.4 ? changes : random() < 0.5 ? 0 : some();
    const extremes = data === 0 ? 0 : data === 1 ? changes : null;
    const chosen = new Map<number, number>();
    return this.#content(size, (sector) => {
      if (extremes !== null) return extremes;
      let choice = chosen.get(sector);
      if (choice === undefined) chosen.set(sector, (choice = after()));
      return choice;
    });
  }

  /** @param changesIn - how many of the pending changes a sector has seen */
  #content(sizeAfter: number, changesIn: (sector: number) => number): Buffer {
    let largest = this.#syncedBytes;
    let size = this.#syncedBytes;
    let running = this.#syncedBytes;
    for (const [index, { position, data }] of this.#pending.entries()) {
      running = data === null ? position : Math.max(running, position + data.length);
      largest = Math.max(largest, running);
      if (index < sizeAfter) size = running;
    }
    const content = Buffer.alloc(largest);
    this.#synced.copy(content, 0, 0, this.#syncedBytes);
    for (const [index, { position, data }] of this.#pending.entries()) {
      const end = data === null ? largest : position + data.length;
      for (let at = position; at < end;) {
        const sector = Math.floor(at / sectorBytes);
        const next = Math.min(end, (sector + 1) * sectorBytes);
        if (index < changesIn(sector)) {
          if (data === null) content.fill(0, at, next);
          else data.copy(content, at, at - position, next - position);
        }
        at = next;
      }
    }
    return content.subarray(0, size);
  }

  #apply({ position, data }: Change): void {
    const end = data === null ? position : position + data.length;
    if (end > this.#synced.length) {
      const grown = Buffer.alloc(Math.max(end, this.#synced.length * 2));
      this.#synced.copy(grown, 0, 0, this.#syncedBytes);
      this.#synced = grown;
    }
    if (data === null) {
      if (end < this.#syncedBytes) this.#synced.fill(0, end, this.#syncedBytes);
      this.#syncedBytes = end;
      return;
    }
    data.copy(this.#synced, position);
    this.#syncedBytes = Math.max(this.#syncedBytes, end);
  }
}
