import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { encodeMp3 } from '../audio/Mp3.js';
import { syncFolder } from '../spool/durable.js';
import type { WholeAudio } from '../spool/Manifest.js';
import type { WholeWav } from './WholeWav.js';

/** Name in the recording's spool folder of the file that becomes the portal's object. */
export function portalFileName(format: WholeAudio['format']): string {
  return `portal.${format}`;
}

/** What a rendering is written under until it is whole. */
export const portalTemporarySuffix = '.part';

/** What the spool's budget has to keep for {@link renderPortal}, bytes: the WAV's size; an MP3 takes a quarter of it or less. */
export function portalBytes(whole: Pick<WholeWav, 'bytes'>): number {
  return whole.bytes;
}

/**
 * Writes the whole call into one file, durably, because the portal's object is stored with one request of known length. The
 * same audio gives the same bytes, so that an interrupted attempt can be made again.
 *
 * @param file - holds the old content or the new one, never a part of it
 * @param signal - gives up between two pieces
 * @throws ReelayError `chunk_missing`, the store's error where audio is read from it, or the file system's
 */
export async function renderPortal(
  whole: WholeWav,
  format: WholeAudio['format'],
  file: string,
  signal?: AbortSignal,
): Promise<Pick<WholeAudio, 'format' | 'bytes' | 'sha256'>> {
  const temporary = file + portalTemporarySuffix;
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    const target = await open(temporary, 'w');
    try {
      for await (const piece of piecesOf(whole, format)) {
        signal?.throwIfAborted();
        hash.update(piece);
        bytes += piece.length;
        await target.writeFile(piece);
      }
      await target.sync();
    } finally {
      await target.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(file));
  return { format, bytes, sha256: hash.digest('hex') };
}

function piecesOf(whole: WholeWav, format: WholeAudio['format']): AsyncIterable<Buffer> {
  if (format === 'mp3') return gathered(encodeMp3(whole.readPcm(), whole));
  return whole.read({ start: 0, end: whole.bytes - 1 }) as AsyncIterable<Buffer>;
}

/** An encoder's frames come by the hundred bytes; the disk is asked once for many. */
async function* gathered(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  for await (const piece of pieces) {
    waiting.push(piece);
    bytes += piece.length;
    if (bytes < 64 * 1024) continue;
    yield Buffer.concat(waiting);
    waiting = [];
    bytes = 0;
  }
  yield Buffer.concat(waiting);
}
