import { type FileHandle, open } from 'node:fs/promises';

const pieceBytes = 256 * 1024;
/** As many as read at once as a rule; more are made and forgotten. */
const mostKept = 4;
const kept: Buffer[] = [];

/**
 * A file's bytes in order, 256 KiB at a time, in memory that is used again: a piece holds what it does only until the next is asked
 * for. Files are hashed and copied all the time here, and buffers of their own for each would set off one collection after another.
 *
 * @throws the system's error, for example `ENOENT`
 */
export async function* filePieces(path: string): AsyncGenerator<Buffer, void, undefined> {
  const file = await open(path, 'r');
  const buffer = kept.pop() ?? Buffer.allocUnsafeSlow(pieceBytes);
  try {
    yield* piecesOf(file, buffer);
  } finally {
    if (kept.length < mostKept) kept.push(buffer);
    await file.close();
  }
}

async function* piecesOf(file: FileHandle, buffer: Buffer): AsyncGenerator<Buffer, void, undefined> {
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
    // Less than was asked for isn't the end yet: a file system over a network may give what it has just now.
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}
