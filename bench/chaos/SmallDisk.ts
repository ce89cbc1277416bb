import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

/** How often what has become free is taken, ms. */
const refillMs = 10;
const pieceBytes = 16 * 2 ** 20;
/** Journal segments, and per call what may wait for its store. */
const baseBytes = 96 * 2 ** 20;
const perCallBytes = 2 * 2 ** 20;

/** A file system of its own that may be filled to the brim: a tmpfs, or the folder that `REELAY_SMALL_DISK` names. */
export class SmallDisk {
  readonly dir: string;
  readonly #isOurs: boolean;

  private constructor(dir: string, isOurs: boolean) {
    this.dir = dir;
    this.#isOurs = isOurs;
  }

  /** @throws Error without root, unless the environment names one */
  static mount(dir: string, calls: number): SmallDisk {
    const named = process.env['REELAY_SMALL_DISK'] ?? '';
    if (named !== '') {
      for (const name of readdirSync(named)) rmSync(join(named, name), { recursive: true });
      return new SmallDisk(named, false);
    }
    if (process.getuid?.() !== 0) {
      throw new Error(
        'Mounting a small disk takes root. Run as root, name a folder on one in REELAY_SMALL_DISK, or choose other rows.',
      );
    }
    mkdirSync(dir, { recursive: true });
    const size = baseBytes + calls * perCallBytes;
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', dir]);
    const disk = new SmallDisk(dir, true);
    process.once('exit', () => disk.unmount());
    return disk;
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.dir);
    return bavail * bsize;
  }

  /** Takes all of it, and from then on whatever becomes free: the daemon stores on and deletes what is stored. */
  fill(): void {
    this.#take();
    this.#filling = setInterval(() => this.#take(), refillMs);
  }

  makeRoom(): void {
    clearInterval(this.#filling);
    rmSync(this.#ballast, { force: true });
  }

  #take(): void {
    try {
      for (let free = this.freeBytes; free > 0; free = this.freeBytes) {
        appendFileSync(this.#ballast, Buffer.alloc(Math.min(free, pieceBytes)));
      }
    } catch (error) {
      // The daemon was quicker: all the better.
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }

  #filling: NodeJS.Timeout | undefined;
  #mounted = true;

  unmount(): void {
    this.makeRoom();
    if (!this.#isOurs || !this.#mounted) return;
    this.#mounted = false;
    execFileSync('umount', ['-l', this.dir]);
  }

  get #ballast(): string {
    return join(this.dir, 'ballast');
  }
}
