import { execFile } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
// Compiled files lie one folder deeper than their sources.
const source = fileURLToPath(new URL('../../../../test/acceptance/disk/faultyDisk.c', import.meta.url));
const modes = { none: 0, failing: 1, slow: 2 } as const;

/**
 * The disk below one folder, as a process sees it that is started with {@link env}: its writes can be made to fail with EIO or to
 * take long, while it runs. `faultyDisk.c` does that, by LD_PRELOAD; it is compiled here.
 */
export class FaultyDisk {
  /** What the process has to be started with. */
  readonly env: Readonly<Record<string, string>>;
  readonly #control: number;

  private constructor(env: Readonly<Record<string, string>>, control: number) {
    this.env = env;
    this.#control = control;
  }

  /**
   * @param dir - receives the compiled library and its control file
   * @param folder - whose files are meant; absolute and without links in it, as the process names it
   * @throws Error when there is no C compiler, or this isn't Linux
   */
  static async over(dir: string, folder: string): Promise<FaultyDisk> {
    if (process.platform !== 'linux') throw new Error('Disks are made faulty by LD_PRELOAD, on Linux only.');
    mkdirSync(dir, { recursive: true });
    const library = join(dir, 'faultyDisk.so');
    const compiler = process.env['CC'] ?? 'cc';
    try {
      await run(compiler, ['-O2', '-fPIC', '-shared', '-o', library, source, '-ldl']);
    } catch (error) {
      throw new Error(`${compiler} didn't compile ${source}; install a C compiler, or name it in CC.`, {
        cause: error,
      });
    }
    const control = join(dir, 'faultyDisk.control');
    writeFileSync(control, Buffer.alloc(20));
    const env = { LD_PRELOAD: library, FAULTY_DISK_CONTROL: control, FAULTY_DISK_DIR: folder };
    return new FaultyDisk(env, openSync(control, 'r+'));
  }

  /** From now on every write, truncation and sync fails with EIO. */
  fail(): void {
    this.#set(modes.failing, 0);
  }

  /** From now on every write takes so much longer. */
  slow(delayMs: number): void {
    this.#set(modes.slow, delayMs);
  }

  heal(): void {
    this.#set(modes.none, 0);
  }

  /**
   * System calls that were made to fail or slowed down so far, those of them on the process's first thread, and all that concerned the
   * folder.
   */
  counts(): { readonly met: number; readonly metFirst: number; readonly seen: number } {
    const numbers = new Uint32Array(5);
    readSync(this.#control, numbers, { position: 0 });
    return { met: numbers[2] ?? 0, metFirst: numbers[4] ?? 0, seen: numbers[3] ?? 0 };
  }

  close(): void {
    closeSync(this.#control);
  }

  #set(mode: number, delayMs: number): void {
    writeSync(this.#control, new Uint32Array([mode, delayMs]), 0, 8, 0);
  }
}
