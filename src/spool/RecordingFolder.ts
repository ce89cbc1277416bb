import { createHash } from 'node:crypto';
import { createReadStream, type Dirent } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { ZodType } from 'zod';
import { wavHeaderBytes } from '../audio/wav.js';
import { documentSchemas } from './documentSchemas.js';
import { chunkName, manifestName, sidecarName } from './layout.js';
import type { Manifest, RecordingState, Sidecar } from './Manifest.js';

/** A JSON document as it lies on the disk. Exactly one of `value` and `problem` is null. */
export interface DocumentOnDisk<T> {
  /** Hex, of the file's bytes. */
  readonly sha256: string;
  readonly value: T | null;
  /** Why the file can't be read as what its name says. */
  readonly problem: string | null;
}

export interface WavOnDisk {
  readonly path: string;
  /** Size of the file. */
  readonly bytes: number;
  /** Hex, of the whole file. */
  readonly sha256: string;
  /** The file's first 44 bytes, or what there is of them. */
  readonly header: Uint8Array;
}

/** What lies in the folder of one chunk; null for a file that is missing. */
export interface ChunkOnDisk {
  readonly index: number;
  readonly wav: WavOnDisk | null;
  readonly sidecar: DocumentOnDisk<Sidecar> | null;
}

/** Everything of a recording that can be judged, without its samples. */
export interface RecordingOnDisk {
  readonly recordingId: string;
  readonly manifest: DocumentOnDisk<Manifest> | null;
  /** By index: all that the manifest lists, and all others that have a file. */
  readonly chunks: readonly ChunkOnDisk[];
  /** Names of chunks that are still growing. */
  readonly unfinished: readonly string[];
}

/** Further along comes later: of two manifests of one recording the later state is the newer one. */
const progress: readonly RecordingState[] = ['recording', 'uploading', 'interrupted', 'complete', 'failed'];

const chunkFile = /^(0|[1-9]\d*)-(audio\.wav|metadata\.json)$/;
const unfinishedFile = /^\d+-audio\.wav\.open$/;

/**
 * One recording as it lies on disk. While it is being uploaded its chunks leave the spool one by one as the store confirms
 * them, so a recording may have two folders: what is not in the first is looked for in the next.
 */
export class RecordingFolder {
  readonly paths: readonly string[];

  constructor(paths: readonly string[]) {
    this.paths = paths;
  }

  /** The folder's own name: the recording's id, wherever the tree was copied to. */
  get recordingId(): string {
    return basename(resolve(this.paths[0] ?? '.'));
  }

  /** The manifest that is furthest along, or null when there is none. */
  async manifest(): Promise<DocumentOnDisk<Manifest> | null> {
    const found = await Promise.all(
      this.paths.map((path) => readDocument(join(path, manifestName), documentSchemas.manifest)),
    );
    return found.reduce((best, next) => (rank(next) > rank(best) ? next : best), null);
  }

  /** Reads every document and hashes every chunk, one file at a time, without holding audio in memory. */
  async read(): Promise<RecordingOnDisk> {
    const manifest = await this.manifest();
    const names = (await Promise.all(this.paths.map(namesIn))).flat();
    const indexes = new Set(manifest?.value?.chunks.map((chunk) => chunk.index));
    for (const name of names) {
      const index = chunkFile.exec(name)?.[1];
      if (index !== undefined) indexes.add(Number(index));
    }
    const chunks: ChunkOnDisk[] = [];
    for (const index of [...indexes].sort((a, b) => a - b)) chunks.push(await this.#readChunk(index));
    return {
      recordingId: manifest?.value?.recordingId ?? this.recordingId,
      manifest,
      chunks,
      unfinished: names.filter((name) => unfinishedFile.test(name)).sort(),
    };
  }

  async #readChunk(index: number): Promise<ChunkOnDisk> {
    const sidecar = await this.#first((path) =>
      readDocument(join(path, sidecarName(index)), documentSchemas.sidecar),
    );
    return { index, wav: await this.#first((path) => readWav(join(path, chunkName(index)))), sidecar };
  }

  async #first<T>(read: (path: string) => Promise<T | null>): Promise<T | null> {
    for (const path of this.paths) {
      const found = await read(path);
      if (found !== null) return found;
    }
    return null;
  }
}

/**
 * All recordings in a folder: itself if it is one, else those anywhere below it. Folders with a leading dot are the daemons'
 * own and are left out.
 */
export async function recordingsBelow(dir: string): Promise<string[]> {
  // A daemon removes folders from its spool while they are being looked through.
  const entries = (await ifPresent(() => readdir(dir, { withFileTypes: true }))) ?? [];
  if (entries.some(isPartOfRecording)) return [dir];
  const found: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.isDirectory() && !entry.name.startsWith('.')) {
      found.push(...(await recordingsBelow(join(dir, entry.name))));
    }
  }
  return found;
}

/**
 * Finds a recording by its own id, or all recordings of a call by the call's id.
 *
 * @param roots - stores and spools to look in; of a file that lies in several, the one in the earliest counts
 */
export async function recordingsById(id: string, roots: readonly string[]): Promise<RecordingFolder[]> {
  const folders = new Map<string, string[]>();
  for (const root of roots) {
    if (!(await isFolder(root))) continue;
    for (const path of await recordingsBelow(root)) {
      const name = basename(path);
      if (name !== id && basename(dirname(path)) !== id) continue;
      folders.set(name, [...(folders.get(name) ?? []), path]);
    }
  }
  return [...folders.values()].map((paths) => new RecordingFolder(paths));
}

/** Whether there is a folder under this name. */
export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return (await ifPresent(() => readdir(folder))) ?? [];
}

function isPartOfRecording(entry: Dirent): boolean {
  return entry.isFile() && (entry.name === manifestName || chunkFile.test(entry.name));
}

function rank(document: DocumentOnDisk<Manifest> | null): number {
  if (document === null) return -2;
  return document.value === null ? -1 : progress.indexOf(document.value.state);
}

async function readDocument<T>(path: string, schema: ZodType<T>): Promise<DocumentOnDisk<T> | null> {
  const bytes = await ifPresent(() => readFile(path));
  if (bytes === null) return null;
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString());
  } catch {
    return { sha256, value: null, problem: 'not JSON' };
  }
  const { data, error } = schema.safeParse(json);
  if (error === undefined) return { sha256, value: data ?? null, problem: null };
  const problem = error.issues.map((issue) => `${issue.path.join('.') || '(root)'}: ${issue.message}`);
  return { sha256, value: null, problem: problem.slice(0, 3).join('; ') };
}

async function readWav(path: string): Promise<WavOnDisk | null> {
  return await ifPresent(async () => {
    const hash = createHash('sha256');
    let header = Buffer.alloc(0);
    let bytes = 0;
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
      if (bytes < wavHeaderBytes) header = Buffer.concat([header, piece.subarray(0, wavHeaderBytes - bytes)]);
      hash.update(piece);
      bytes += piece.length;
    }
    return { path, bytes, sha256: hash.digest('hex'), header };
  });
}

/** Null for a file that isn't there; any other trouble is the caller's to see. */
async function ifPresent<T>(read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
