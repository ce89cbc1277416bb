import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { documentSchemas } from '../spool/documentSchemas.js';
import {
  chunkName,
  isRecordingName,
  laneFileNamed,
  manifestName,
  sidecarName,
  uploadName,
} from '../spool/layout.js';
import type { Manifest, ManifestChunk } from '../spool/Manifest.js';
import { chunkSaidBy, folderSaidBy, readDocument } from '../spool/readDocument.js';
import { emptyNote, readNote, unlessMissing, type UploadNote } from './UploadNote.js';

export { spooledFolders } from '../spool/spooledFolders.js';

/** A recording's folder in the spool at one moment, without its audio. */
export interface SpooledRecording {
  /** Below the spool. */
  readonly folder: string;
  /** Absolute. */
  readonly path: string;
  /** Null where it isn't there, can't be read, or belongs to another folder. */
  readonly manifest: Manifest | null;
  readonly note: UploadNote;
  /**
   * Sealed chunks whose sidecar lies here, by index; their WAV may be in the store already. What the manifest lists isn't read
   * again from the sidecars.
   */
  readonly sealed: ReadonlyMap<number, ManifestChunk>;
  /** Indexes of sealed WAV files. */
  readonly wavs: ReadonlySet<number>;
  /** Indexes of chunks that still grow or may still be amended. */
  readonly open: ReadonlySet<number>;
  /** Of a room, the lanes that have a sealed file here, by the chunk's index. */
  readonly laneWavs: ReadonlyMap<number, ReadonlySet<string>>;
  /** The same of files that still grow, or may still be amended. */
  readonly openLanes: ReadonlyMap<number, ReadonlySet<string>>;
  /** Of plain files. */
  readonly names: readonly string[];
  /** Under a recording's own names, what is no plain file, and a note that can't be read or is another recording's. */
  readonly unreadable: readonly string[];
}

/**
 * Reads a folder of the spool; undefined when there is none.
 *
 * @throws the file system's error, such as `EMFILE`: what can't be read for now must not be taken for lost
 */
export async function readSpooled(spoolDir: string, folder: string): Promise<SpooledRecording | undefined> {
  const path = join(spoolDir, folder);
  // The manifest first: the recorder lists a chunk there when its files have their names, so what it lists is seen afterwards. The
  // other way round a chunk that is sealed in between would be listed and not be there, and count as lost.
  const found = await readDocument(join(path, manifestName), documentSchemas.manifest);
  const entries = await readdir(path, { withFileTypes: true }).catch(unlessMissing);
  if (entries === undefined) return undefined;
  const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  const oddNames = entries.filter((entry) => !entry.isFile()).map(({ name }) => name);
  const manifest = found.state === 'read' && folderSaidBy(found.value) === folder ? found.value : null;
  const note = await readNote(path);
  return {
    folder,
    path,
    manifest,
    note: note ?? emptyNote,
    unreadable: [
      ...oddNames.filter(isRecordingName),
      ...(note === null && names.includes(uploadName) ? [uploadName] : []),
    ],
    sealed: await readSealed({ folder, path }, names, manifest),
    wavs: new Set(indexes(names, /^(\d+)-audio\.wav$/)),
    open: new Set(indexes(names, /^(\d+)-audio\.wav\.open$/)),
    laneWavs: lanesIn(names, false),
    openLanes: lanesIn(names, true),
    names,
  };
}

async function readSealed(
  where: { readonly folder: string; readonly path: string },
  names: readonly string[],
  manifest: Manifest | null,
): Promise<Map<number, ManifestChunk>> {
  const listed = new Map(manifest?.chunks.map((chunk) => [chunk.index, chunk]));
  const sealed = new Map<number, ManifestChunk>();
  for (const index of indexes(names, /^(\d+)-metadata\.json$/)) {
    const chunk = listed.get(index) ?? (await readChunk(where, index));
    if (chunk !== null) sealed.set(index, chunk);
  }
  return sealed;
}

/** A sidecar of another recording, or account, says nothing of this one. */
async function readChunk(
  { folder, path }: { readonly folder: string; readonly path: string },
  wanted: number,
): Promise<ManifestChunk | null> {
  const sidecar = await readDocument(join(path, sidecarName(wanted)), documentSchemas.sidecar);
  if (sidecar.state !== 'read' || sidecar.value.index !== wanted) return null;
  if (folderSaidBy(sidecar.value) !== folder) return null;
  return chunkSaidBy(sidecar.value, sidecar.sha256);
}

/** Where a manifest says that it belongs; nowhere, where it says something impossible. */
export function folderOf(manifest: Manifest): string {
  return folderSaidBy(manifest) ?? '';
}

/** The key of a chunk's WAV, or of one of its lanes'. */
export function chunkKey(folder: string, index: number, lane?: string): string {
  return `${folder}/${chunkName(index, lane)}`;
}

export function sidecarKey(folder: string, index: number): string {
  return `${folder}/${sidecarName(index)}`;
}

function lanesIn(names: readonly string[], isOpen: boolean): Map<number, Set<string>> {
  const found = new Map<number, Set<string>>();
  for (const name of names) {
    const file = laneFileNamed(name);
    if (file?.isOpen === isOpen) found.set(file.index, (found.get(file.index) ?? new Set()).add(file.lane));
  }
  return found;
}

function indexes(names: readonly string[], pattern: RegExp): number[] {
  const found = names.flatMap((name) => pattern.exec(name)?.[1] ?? []);
  return found.map(Number).sort((a, b) => a - b);
}
