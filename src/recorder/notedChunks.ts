import { z } from 'zod';
import type { ManifestChunk } from '../spool/Manifest.js';
import { readDocument } from '../spool/readDocument.js';

const count = z.int().nonnegative();
const note = z.looseObject({
  finished: z.boolean(),
  chunks: z.array(
    z.looseObject({
      index: count,
      startSample: count,
      samples: count,
      bytes: count,
      sha256: z.string(),
      sidecarSha256: z.string(),
      lanes: z.array(z.looseObject({ lane: z.string(), bytes: count, sha256: z.string() })).optional(),
    }),
  ),
});

/**
 * What control's note, `upload.json`, says of chunks that are stored; they may have left the spool.
 *
 * @returns `finished` when the store has the whole recording; nothing of a note that can't be read
 */
export async function notedChunks(path: string): Promise<'finished' | ManifestChunk[]> {
  const found = await readDocument(path, note);
  if (found.state !== 'read') return [];
  if (found.value.finished) return 'finished';
  return found.value.chunks.map(({ index, startSample, samples, bytes, sha256, sidecarSha256, lanes }) => ({
    index,
    startSample,
    samples,
    bytes,
    sha256,
    sidecarSha256,
    ...(lanes === undefined ? {} : { lanes }),
  }));
}
