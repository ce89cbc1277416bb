import { readFileSync } from 'node:fs';

const kinds = ['open', 'write', 'truncate', 'rename', 'unlink', 'mkdir', 'rmdir', 'sync', 'link'] as const;
const headerBytes = 48;

/** One operation on a file or a name, as `recordFileOperations.c` noted it when it had succeeded. */
export interface FileOperation {
  /** `open` is one that may make or empty a file; `sync` is fsync or fdatasync, of a file or of a folder. */
  readonly kind: (typeof kinds)[number];
  /** When it began and ended, ns of the clock of `process.hrtime`. */
  readonly beginNs: number;
  readonly endNs: number;
  /** Number of the file or folder; 0 for operations on names that need none. */
  readonly inode: number;
  /** `write`: where; `truncate`: the size; `open`: 1 when the file was emptied. */
  readonly position: number;
  /** Absolute; '' where the file is known by its number. */
  readonly path: string;
  /** What was written; of `rename` and `link` the new name. */
  readonly data: Buffer;
}

/** Reads what was noted, in the order in which it ended. What a killed process has noted in part isn't there. */
export function readOperations(log: string): FileOperation[] {
  const bytes = readFileSync(log);
  const operations: FileOperation[] = [];
  for (let at = 0; at + headerBytes <= bytes.length;) {
    const length = bytes.readUInt32LE(at);
    if (at + length > bytes.length) break;
    const kind = kinds[bytes.readUInt32LE(at + 4) - 1];
    if (kind === undefined) throw new Error(`byte ${at} of ${log} is no operation`);
    const pathEnd = at + headerBytes + bytes.readUInt32LE(at + 40);
    operations.push({
      kind,
      beginNs: Number(bytes.readBigUInt64LE(at + 8)),
      endNs: Number(bytes.readBigUInt64LE(at + 16)),
      inode: Number(bytes.readBigUInt64LE(at + 24)),
      position: Number(bytes.readBigInt64LE(at + 32)),
      path: bytes.toString('utf8', at + headerBytes, pathEnd),
      data: bytes.subarray(pathEnd, at + length),
    });
    at += length;
  }
  return operations;
}
