import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeDurably } from '../spool/durable.js';
import { uploadName } from '../spool/layout.js';
import type { ManifestChunk } from '../spool/Manifest.js';

/** A chunk whose WAV the store has confirmed. */
export interface StoredChunk extends ManifestChunk {
  readonly sidecarStored: boolean;
}

/** `upload.json` in a recording's spool folder: what the store has confirmed. The control thread alone writes it. */
export interface UploadNote {
  readonly schema: 1;
  readonly chunks: readonly StoredChunk[];
  /** The final manifest is stored, and nothing here is needed any more. */
  readonly finished: boolean;
}

export const emptyNote: UploadNote = { schema: 1, chunks: [], finished: false };

const count = z.int().nonnegative();
const note = z.object({
  schema: z.literal(1),
  chunks: z.array(
    z.object({
      index: count,
      startSample: count,
      samples: count,
      bytes: count,
      sha256: z.string(),
      sidecarSha256: z.string(),
      sidecarStored: z.boolean(),
    }),
  ),
  finished: z.boolean(),
});

/** A note that isn't there or can't be read says that nothing is confirmed: the store is asked again then. */
export async function readNote(folder: string): Promise<UploadNote> {
  try {
    return note.parse(JSON.parse(await readFile(join(folder, uploadName), 'utf8')));
  } catch {
    return emptyNote;
  }
}

/** @throws the file system's error; what was confirmed and couldn't be noted is stored again */
export async function writeNote(folder: string, content: UploadNote): Promise<void> {
  await writeDurably(join(folder, uploadName), `${JSON.stringify(content)}\n`);
}

/** The note with this chunk in it, in the place of an older entry of the same index. */
export function withChunk(content: UploadNote, chunk: StoredChunk): UploadNote {
  const others = content.chunks.filter(({ index }) => index !== chunk.index);
  return { ...content, chunks: [...others, chunk].sort((a, b) => a.index - b.index) };
}
