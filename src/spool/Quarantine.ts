import {
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  renameSync,
  type Stats,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { basename, dirname, join, relative } from 'node:path';
import { daemonsFolder, quarantineFolder } from './layout.js';

/** Something that was set aside. Paths are relative to the spool. */
export interface SetAside {
  readonly path: string;
  /** Where it lies now. */
  readonly into: string;
  /** What is wrong with it; for people. */
  readonly why: string;
}

/**
 * `<spool>/.reelay/quarantine/<when>/<path>`: what lay in the spool under a name of ours and can't be read as what it should be.
 * It comes here by renaming, so it is neither read nor followed, and costs no room. Nothing here is ever written over, deleted,
 * or looked at again by reelay.
 */
export class Quarantine {
  readonly #spoolDir: string;
  readonly #told: (item: SetAside) => void;
  /** Of this instance alone, so that no two of them meet. */
  readonly #dir: string;

  /**
   * @param spoolDir - absolute
   * @param told - of each thing, once; must not throw
   */
  constructor(spoolDir: string, told: (item: SetAside) => void) {
    this.#spoolDir = spoolDir;
    this.#told = told;
    const when = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
    const name = `${when}-${randomBytes(3).toString('hex')}`;
    this.#dir = join(spoolDir, daemonsFolder, quarantineFolder, name);
  }

  /**
   * Moves a file, a folder with everything in it, or whatever else lies there.
   *
   * @param path - absolute, below the spool
   * @returns whether something lay there
   * @throws the file system's error; it lies where it was then
   */
  setAside(path: string, why: string): boolean {
    if (entryAt(path) === undefined) return false;
    const target = this.#placeFor(path);
    renameSync(path, target);
    this.#tell(path, target, why);
    return true;
  }

  /**
   * Keeps a file that is still in use: what becomes of the name that it has changes nothing here. One that was kept before
   * isn't kept again.
   *
   * @param path - absolute, of a regular file that nobody writes to any more
   * @throws the file system's error
   */
  keep(path: string, why: string): void {
    const found = entryAt(path);
    if (found === undefined || found.nlink > 1) return;
    const target = this.#placeFor(path);
    try {
      linkSync(path, target);
    } catch {
      // A file system without hard links.
      copyFileSync(path, target, constants.COPYFILE_EXCL);
    }
    this.#tell(path, target, why);
  }

  #placeFor(path: string): string {
    for (let attempt = 0; ; attempt++) {
      const place = this.#place(path, attempt);
      if (entryAt(place) === undefined) return place;
    }
  }

  /** Its own path again; one that becomes too long, or leads through a file, becomes its name alone. */
  #place(path: string, attempt: number): string {
    const suffix = attempt === 0 ? '' : `~${attempt}`;
    const place = join(this.#dir, relative(this.#spoolDir, path) + suffix);
    try {
      mkdirSync(dirname(place), { recursive: true });
      return place;
    } catch {
      mkdirSync(this.#dir, { recursive: true });
      return join(this.#dir, basename(path).slice(0, 60) + (suffix || '~0'));
    }
  }

  #tell(path: string, target: string, why: string): void {
    const shown = (each: string): string => relative(this.#spoolDir, each);
    this.#told({ path: shown(path), into: shown(target), why });
  }
}

/** What lies under a name, links not followed; undefined when nothing does. @throws the file system's error */
function entryAt(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

/** Sees to it that the spool has a folder for daemons, whatever somebody has put in its place. */
export function makeDaemonsFolder(spoolDir: string): void {
  const base = join(spoolDir, daemonsFolder);
  const found = entryAt(base);
  if (found === undefined || found.isDirectory()) {
    mkdirSync(join(spoolDir, daemonsFolder), { recursive: true });
    return;
  }
  let aside = `${base}-${randomBytes(3).toString('hex')}`;
  while (existsSync(aside)) aside += '~';
  renameSync(base, aside);
  mkdirSync(base);
  new Quarantine(spoolDir, () => undefined).setAside(aside, 'it lay where the folder of the daemons belongs');
}
