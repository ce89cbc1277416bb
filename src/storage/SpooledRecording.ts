import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ZodType } from 'zod';
import { documentSchemas } from '../spool/documentSchemas.js';
import { chunkName, daemonsFolder, manifestName, recordingFolder, sidecarName } from '../spool/layout.js';
import type { Manifest, ManifestChunk } from '../spool/Manifest.js';
import { readNote, unlessMissing, type UploadNote } from './UploadNote.js';

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
  readonly names: readonly string[];
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
  const names = await readdir(path).catch(unlessMissing);
  if (names === undefined) return undefined;
  const manifest = found !== null && folderOf(found.value) === folder ? found.value : null;
  return {
    folder,
    path,
    manifest,
    note: await readNote(path),
    sealed: await readSealed(path, names, manifest),
    wavs: new Set(indexes(names, /^(\d+)-audio\.wav$/)),
    open: new Set(indexes(names, /^(\d+)-audio\.wav\.open$/)),
    names,
  };
}

async function readSealed(
  path: string,
  names: readonly string[],
  manifest: Manifest | null,
): Promise<Map<number, ManifestChunk>> {
  const listed = new Map(manifest?.chunks.map((chunk) => [chunk.index, chunk]));
  const sealed = new Map<number, ManifestChunk>();
  for (const index of indexes(names, /^(\d+)-metadata\.json$/)) {
    const chunk = listed.get(index) ?? (await readChunk(path, index));
    if (chunk !== null) sealed.set(index, chunk);
  }
  return sealed;
}

async function readChunk(path: string, wanted: number): Promise<ManifestChunk | null> {
  const sidecar = await readDocument(join(path, sidecarName(wanted)), documentSchemas.sidecar);
  if (sidecar?.value.index !== wanted) return null;
  const { index, startSample, samples, bytes, sha256 } = sidecar.value;
  return { index, startSample, samples, bytes, sha256, sidecarSha256: sidecar.sha256 };
}

/** Every recording's folder in the spool, relative to it; daemons' own folders are left out. */
export async function* spooledFolders(spoolDir: string): AsyncGenerator<string> {
  for (const account of await foldersIn(spoolDir)) {
    if (account === daemonsFolder || account.startsWith('.')) continue;
    for (const date of await foldersIn(join(spoolDir, account)))
      for (const call of await foldersIn(join(spoolDir, account, date)))
        for (const recording of await foldersIn(join(spoolDir, account, date, call)))
          yield [account, date, call, recording].join('/');
  }
}

/** Where a manifest says that it belongs. */
export function folderOf(manifest: Manifest): string {
  return recordingFolder({ ...manifest, startMs: Date.parse(manifest.startTime) });
}

/** The key of a chunk's WAV. */
export function chunkKey(folder: string, index: number): string {
  return `${folder}/${chunkName(index)}`;
}

export function sidecarKey(folder: string, index: number): string {
  return `${folder}/${sidecarName(index)}`;
}

async function foldersIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

function indexes(names: readonly string[], pattern: RegExp): number[] {
  const found = names.flatMap((name) => pattern.exec(name)?.[1] ?? []);
  return found.map(Number).sort((a, b) => a - b);
}

async function readDocument<T>(
  path: string,
  schema: ZodType<T>,
): Promise<{ readonly value: T; readonly sha256: string } | null> {
  const bytes = await readFile(path).catch(unlessMissing);
  if (bytes === undefined) return null;
  try {
    const value = schema.parse(JSON.parse(bytes.toString()));
    return { value, sha256: createHash('sha256').update(bytes).digest('hex') };
  } catch {
    return null;
  }
}
