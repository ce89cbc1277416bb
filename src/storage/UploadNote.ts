import { basename, join } from 'node:path';
import { z } from 'zod';
import { writeDurably } from '../spool/durable.js';
import { uploadName } from '../spool/layout.js';
import type { ChunkLane, ManifestChunk, WholeAudio } from '../spool/Manifest.js';
import { odd, readPlain } from '../spool/plainFile.js';

/** {@link writeDurably}, or a way that gives the same promise where that fails. */
export type DurableWrite = (path: string, data: string) => Promise<void>;

/** A chunk whose audio the store has confirmed: as a WAV of its own or within an object that holds the whole call. */
export interface StoredChunk extends ManifestChunk {
  readonly sidecarStored: boolean;
  /** Of a room, the lanes whose own file the store has confirmed. */
  readonly lanesStored?: readonly string[] | undefined;
}

/** A key under which a multipart upload may be open. Noted before one is begun, so that none is ever left behind. */
export interface NotedMultipart {
  readonly key: string;
  /** Null while it is being begun, or where the store's client keeps it to itself. */
  readonly uploadId: string | null;
}

/** A part that the store has confirmed. */
export interface NotedPart {
  /** From 1. */
  readonly number: number;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
  readonly tag: string;
}

/** The upload of `audio.wav` that is under way. */
export interface NotedWhole {
  /** Of every part but the last. */
  readonly partBytes: number;
  readonly uploadId: string;
  readonly parts: readonly NotedPart[];
}

/** `upload.json` in a recording's spool folder: what the store has confirmed. The control thread alone writes it. */
export interface UploadNote {
  readonly schema: 2;
  /** Name of the store that has, or may have, the first object; null before there is one. */
  readonly place: string | null;
  readonly chunks: readonly StoredChunk[];
  readonly multiparts: readonly NotedMultipart[];
  readonly whole: NotedWhole | null;
  /** Objects that hold the whole call and are confirmed. */
  readonly audio: readonly WholeAudio[];
  /** The portal's object: its key was free when it was chosen, and is this recording's from then on. */
  readonly portal: { readonly key: string; readonly format: 'mp3' | 'wav' } | null;
  /** The final manifest is stored, and nothing here is needed any more. */
  readonly finished: boolean;
}

export const emptyNote: UploadNote = {
  schema: 2,
  place: null,
  chunks: [],
  multiparts: [],
  whole: null,
  audio: [],
  portal: null,
  finished: false,
};

const count = z.int().nonnegative();
const format = z.enum(['wav', 'mp3']);
const part = z.object({ number: z.int().positive(), bytes: count, sha256: z.string(), tag: z.string() });
const note = z.object({
  schema: z.union([z.literal(1), z.literal(2)]).transform((): 2 => 2),
  place: z.string().nullable().default(null),
  chunks: z.array(
    z.object({
      index: count,
      startSample: count,
      samples: count,
      bytes: count,
      sha256: z.string(),
      sidecarSha256: z.string(),
      sidecarStored: z.boolean(),
      lanes: z.array(z.object({ lane: z.string(), bytes: count, sha256: z.string() })).optional(),
      lanesStored: z.array(z.string()).optional(),
    }),
  ),
  multiparts: z.array(z.object({ key: z.string(), uploadId: z.string().nullable() })).default([]),
  whole: z
    .object({ partBytes: z.int().positive(), uploadId: z.string(), parts: z.array(part) })
    .nullable()
    .default(null),
  audio: z.array(z.object({ key: z.string(), format, bytes: count, sha256: z.string() })).default([]),
  portal: z.object({ key: z.string(), format }).nullable().default(null),
  finished: z.boolean(),
  /** Absent in those of reelay 0.2. */
  recordingId: z.string().optional(),
});

/**
 * A note that isn't there says that nothing is confirmed: the store is asked again then. One of schema 1, which knew chunks only,
 * says of everything else that there is none.
 *
 * @returns null for one that is damaged or another recording's, which says nothing either
 * @throws the file system's error; a note that can't be read for now must not be taken for none
 */
export async function readNote(folder: string): Promise<UploadNote | null> {
  const bytes = await readPlain(join(folder, uploadName));
  if (bytes === undefined) return emptyNote;
  if (bytes === odd) return null;
  try {
    const { recordingId, ...content } = note.parse(JSON.parse(bytes.toString()));
    // Two silent chunks have the same sums, whosever they are.
    return recordingId === undefined || recordingId === basename(folder) ? content : null;
  } catch {
    return null;
  }
}

/** @throws any other error than that there is no such file */
export function unlessMissing(error: unknown): undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
}

/** @throws the file system's error; what was confirmed and couldn't be noted is stored again */
export async function writeNote(
  folder: string,
  content: UploadNote,
  write: DurableWrite = writeDurably,
): Promise<void> {
  await write(join(folder, uploadName), `${JSON.stringify({ recordingId: basename(folder), ...content })}\n`);
}

/** The note with this chunk in it, in the place of an older entry of the same index. */
export function withChunk(content: UploadNote, chunk: StoredChunk): UploadNote {
  const { chunks } = content;
  const place = placeOf(chunks, chunk.index);
  const isThere = chunks[place]?.index === chunk.index;
  return { ...content, chunks: chunks.toSpliced(place, isThere ? 1 : 0, chunk) };
}

/** What is noted of a chunk, if it is the same chunk: two silent ones have the same sum, so the index counts too. */
export function notedOf({ chunks }: UploadNote, { index, sha256 }: ManifestChunk): StoredChunk | undefined {
  const found = chunks[placeOf(chunks, index)];
  return found?.index === index && found.sha256 === sha256 ? found : undefined;
}

/** The note with these lanes of a chunk that is in it. */
export function withLanes(
  content: UploadNote,
  chunk: ManifestChunk,
  lanesStored: readonly string[],
): UploadNote {
  const noted = notedOf(content, chunk);
  return noted === undefined ? content : withChunk(content, { ...noted, lanesStored });
}

/** Lanes of a chunk that aren't noted as stored. */
export function unstoredLanes(content: UploadNote, chunk: ManifestChunk): readonly ChunkLane[] {
  const stored = notedOf(content, chunk)?.lanesStored ?? [];
  return (chunk.lanes ?? []).filter(({ lane }) => !stored.includes(lane));
}

/** The note with this part in it, in the place of an older one of its number. */
export function withPart(content: UploadNote, { number, bytes, sha256, tag }: NotedPart): UploadNote {
  if (content.whole === null) return content;
  const others = content.whole.parts.filter((each) => each.number !== number);
  const parts = [...others, { number, bytes, sha256, tag }].sort((a, b) => a.number - b.number);
  return { ...content, whole: { ...content.whole, parts } };
}

/** The note with this key under which an upload may be open. */
export function withMultipart(content: UploadNote, key: string, uploadId: string | null): UploadNote {
  const others = content.multiparts.filter((each) => each.key !== key);
  return { ...content, multiparts: [...others, { key, uploadId }] };
}

/** The note without a key under which nothing can be open any more. */
export function withoutMultipart(content: UploadNote, key: string): UploadNote {
  const multiparts = content.multiparts.filter((each) => each.key !== key);
  return { ...content, multiparts };
}

/** Where an index is, or would be, in a list that is in order: a day's call has thousands of chunks. */
function placeOf(chunks: readonly StoredChunk[], index: number): number {
  let low = 0;
  let high = chunks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((chunks[middle]?.index ?? index) < index) low = middle + 1;
    else high = middle;
  }
  return low;
}
