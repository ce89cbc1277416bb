import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';

const namePattern = /^(\d{8})\.journal$/;

/** A file of a journal, by its name, `<number>.journal`, and what is known of it. */
export class Segment {
  readonly number: number;
  readonly path: string;
  /** Length as far as it counts: what is written next comes there. */
  bytes = 0;
  /** Sequence of the first record in it; 0 while it is empty. */
  firstSequence = 0;
  /** Sequence of the last record in it; of an empty one, of the record before. */
  lastSequence = 0;
  /** Its file while it is held open, which it is until everything in it is safe from a loss of power; else -1. */
  file = -1;

  constructor(folder: string, number: number) {
    this.number = number;
    this.path = join(folder, `${String(number).padStart(8, '0')}.journal`);
  }

  /** Undefined for names that no segment has. */
  static named(folder: string, name: string): Segment | undefined {
    const number = namePattern.exec(name)?.[1];
    return number === undefined ? undefined : new Segment(folder, Number(number));
  }

  /** @throws the file system's error */
  open(flags: 'r' | 'w'): void {
    this.file = openSync(this.path, flags);
  }

  close(): void {
    if (this.file >= 0) closeSync(this.file);
    this.file = -1;
  }
}
