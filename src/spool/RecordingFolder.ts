import { createHash } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { ZodType } from 'zod';
import { wavHeaderBytes, wholeHeaderBytes } from '../audio/wav.js';
import { documentSchemas } from './documentSchemas.js';
import {
  chunkName,
  laneFileNamed,
  manifestName,
  recordingFolder,
  sidecarName,
  uploadName,
  wholeAudioName,
} from './layout.js';
import type { Manifest, ManifestChunk, RecordingState, Sidecar, WholeAudio } from './Manifest.js';
import { type FileRange, FolderFiles, ifPresent, type RecordingFiles } from './RecordingFiles.js';
import type { RecordingRoot } from './RecordingRoot.js';
import { readWholeAudio, type WholeAudioOnDisk } from './WholeAudioOnDisk.js';

/** A JSON document as it lies on the disk or in a bucket. Exactly one of `value` and `problem` is null. */
export interface DocumentOnDisk<T> {
  /** Hex, of the file's bytes. */
  readonly sha256: string;
  readonly value: T | null;
  /** Why the file can't be read as what its name says. */
  readonly problem: string | null;
}

export interface WavOnDisk {
  /** For people: a path or the URL of an object. */
  readonly path: string;
  /** Size of the file. */
  readonly bytes: number;
  /** Hex, of the whole file; null where nothing is said of it, or it is longer than was said and was not read to its end. */
  readonly sha256: string | null;
  /** The file's first 44 bytes, or what there is of them. */
  readonly header: Uint8Array;
}

/** What lies in the folder of one chunk; null for a file that is missing. */
export interface ChunkOnDisk {
  readonly index: number;
  readonly wav: WavOnDisk | null;
  readonly sidecar: DocumentOnDisk<Sidecar> | null;
  /** Of a room, by name: those that the manifest lists for the chunk, and all others that have a file. */
  readonly lanes?: readonly LaneOnDisk[];
}

/** One lane's file of a chunk. */
export interface LaneOnDisk {
  readonly lane: string;
  readonly wav: WavOnDisk | null;
}

/** An entry of the manifest's `audio` and the object that it speaks of; null when that is missing or another's. */
export interface AudioOnDisk {
  readonly said: WholeAudio;
  readonly found: WholeAudioOnDisk | null;
}

/** Everything of a recording that can be judged, without its samples. */
export interface RecordingOnDisk {
  readonly recordingId: string;
  readonly manifest: DocumentOnDisk<Manifest> | null;
  /** By index: all that the manifest lists, and all others that have a file. */
  readonly chunks: readonly ChunkOnDisk[];
  /** As the manifest lists them. */
  readonly audio: readonly AudioOnDisk[];
  /** Names of chunks that are still growing. */
  readonly unfinished: readonly string[];
  /** Some of it lies in a spool, where what is stored is about to be removed. */
  readonly isSpooled: boolean;
}

/** Further along comes later: of two manifests of one recording the later state is the newer one. */
const progress: readonly RecordingState[] = ['recording', 'uploading', 'interrupted', 'complete', 'failed'];

const unfinishedFile = /^\d+-[a-z0-9-]+\.wav\.open$/;
const chunkFile = /^(0|[1-9]\d*)-(audio\.wav|metadata\.json)$/;

/** Larger documents are nobody's sidecar or manifest: an hour of call with a chunk a second has a manifest of 1 MiB. */
const maxDocumentBytes = 64 * 2 ** 20;

/** A place of the recording, and what it had when it was looked at. */
interface Place {
  readonly files: RecordingFiles;
  readonly names: ReadonlySet<string>;
}

/**
 * One recording as it lies on disks and in buckets. While it is being uploaded its files leave the spool one by one as the
 * store confirms them, so a recording may have two places: what is not in the first is looked for in the next.
 */
export class RecordingFolder {
  readonly #places: readonly RecordingFiles[];

  /** @param places - folders as paths, or files anywhere */
  constructor(places: readonly (string | RecordingFiles)[]) {
    this.#places = places.map((place) => (typeof place === 'string' ? new FolderFiles(place) : place));
  }

  /** Folders, or URLs of buckets. */
  get paths(): readonly string[] {
    return this.#places.map(({ path }) => path);
  }

  /** The folder's own name: the recording's id, wherever the tree was copied to. */
  get recordingId(): string {
    return basename(resolve(this.paths[0] ?? '.'));
  }

  /** The manifest that is furthest along, or null when there is none. */
  async manifest(): Promise<DocumentOnDisk<Manifest> | null> {
    const found = await Promise.all(
      this.#places.map((files) => readDocument(files, manifestName, documentSchemas.manifest)),
    );
    return found.reduce((best, next) => (rank(next) > rank(best) ? next : best), null);
  }

  /** Reads every document and hashes every file, one at a time, without holding audio in memory. */
  async read(): Promise<RecordingOnDisk> {
    const places = await Promise.all(
      this.#places.map(async (files): Promise<Place> => ({ files, names: new Set(await files.names()) })),
    );
    const manifest = await this.manifest();
    const names = places.flatMap((place) => [...place.names]);
    return {
      recordingId: manifest?.value?.recordingId ?? this.recordingId,
      manifest,
      chunks: await readChunks(places, names, manifest?.value ?? null),
      audio: manifest?.value ? await readAudio(places, manifest.value) : [],
      unfinished: names.filter(isUnfinished).sort(),
      isSpooled: names.includes(uploadName),
    };
  }

  /**
   * Bytes of one of its files, from the first place that has it.
   *
   * @param name - below the recording's folder, or a key with a slash before it
   */
  async open(name: string, range?: FileRange): Promise<AsyncIterable<Buffer> | null> {
    for (const files of this.#places) {
      const found = await files.read(name, range);
      if (found !== null) return found;
    }
    return null;
  }
}

/**
 * The name under which {@link RecordingFolder.open} finds an object of the whole call. It is either the recording's own
 * `audio.wav` or the object that jambonz's portal looks for; null for any other key, which is not for this recording to name.
 */
export function wholeAudioFile(key: string, manifest: Manifest): string | null {
  const folder = recordingFolder({ ...manifest, startMs: Date.parse(manifest.startTime) });
  if (key === `${folder}/${wholeAudioName}`) return wholeAudioName;
  const [, name = ''] = /^\d{4}\/\d\d\/\d\d\/([^/\\\p{Cc}]+)\.(?:mp3|wav)$/u.exec(key) ?? [];
  const isOwn = name === manifest.callId || /^-\d+$/.test(name.slice(manifest.callId.length));
  return isOwn && name.startsWith(manifest.callId) ? `/${key}` : null;
}

async function readChunks(
  places: readonly Place[],
  names: readonly string[],
  manifest: Manifest | null,
): Promise<ChunkOnDisk[]> {
  const listed = new Map(manifest?.chunks.map((chunk) => [chunk.index, chunk]));
  const indexes = new Set(listed.keys());
  const lanes = laneFiles(names);
  for (const name of names) {
    const index = chunkFile.exec(name)?.[1];
    if (index !== undefined) indexes.add(Number(index));
  }
  for (const index of lanes.keys()) indexes.add(index);
  const chunks: ChunkOnDisk[] = [];
  for (const index of [...indexes].sort((a, b) => a - b)) {
    const sidecar = await first(places, sidecarName(index), (files, name) =>
      readDocument(files, name, documentSchemas.sidecar),
    );
    const wav = await first(places, chunkName(index), (files, name) =>
      readWav(files, name, listed.get(index)?.bytes ?? 0),
    );
    const ofRoom = await readLanes(places, index, listed.get(index), lanes.get(index));
    chunks.push({ index, wav, sidecar, ...(ofRoom.length === 0 ? {} : { lanes: ofRoom }) });
  }
  return chunks;
}

/** By index of the chunk, the lanes that have a file of it. */
function laneFiles(names: readonly string[]): Map<number, Set<string>> {
  const found = new Map<number, Set<string>>();
  for (const name of names) {
    const file = laneFileNamed(name);
    if (file === null || file.isOpen) continue;
    found.set(file.index, (found.get(file.index) ?? new Set()).add(file.lane));
  }
  return found;
}

async function readLanes(
  places: readonly Place[],
  index: number,
  listed: ManifestChunk | undefined,
  there: ReadonlySet<string> = new Set(),
): Promise<LaneOnDisk[]> {
  const said = new Map(listed?.lanes?.map(({ lane, bytes }) => [lane, bytes]));
  const lanes: LaneOnDisk[] = [];
  for (const lane of [...new Set([...said.keys(), ...there])].sort()) {
    const limit = said.get(lane) ?? 0;
    const wav = await first(places, chunkName(index, lane), (files, name) => readWav(files, name, limit));
    lanes.push({ lane, wav });
  }
  return lanes;
}

async function readAudio(places: readonly Place[], manifest: Manifest): Promise<AudioOnDisk[]> {
  const audio: AudioOnDisk[] = [];
  for (const said of manifest.audio ?? []) {
    const name = wholeAudioFile(said.key, manifest);
    const inside = said.format === 'wav' ? manifest : null;
    const pcmBytes = manifest.samples * manifest.channels.length * 2;
    const limit = inside === null ? said.bytes : Math.max(said.bytes, wholeHeaderBytes + pcmBytes);
    const read = (files: RecordingFiles) => readWholeAudio(files, name ?? '', limit, inside);
    audio.push({ said, found: name === null ? null : await first(places, name, read) });
  }
  return audio;
}

/**
 * What the first place has that has anything. One place is asked only for what it listed; with several, a file may have moved
 * from one to the other meanwhile.
 */
async function first<T>(
  places: readonly Place[],
  name: string,
  read: (files: RecordingFiles, name: string) => Promise<T | null>,
): Promise<T | null> {
  for (const { files, names } of places) {
    if (places.length === 1 && !name.startsWith('/') && !names.has(name)) continue;
    const found = await read(files, name);
    if (found !== null) return found;
  }
  return null;
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
 * @param roots - stores and spools to look in, folders as paths; of a file that lies in several, the one in the earliest counts
 */
export async function recordingsById(
  id: string,
  roots: readonly (string | Pick<RecordingRoot, 'recordings'>)[],
): Promise<RecordingFolder[]> {
  const places = new Map<string, RecordingFiles[]>();
  for (const root of roots) {
    const found =
      typeof root === 'string'
        ? (await recordingsBelow(root)).map((path) => new FolderFiles(path))
        : await root.recordings();
    for (const files of found) {
      const name = basename(files.path);
      if (name !== id && basename(dirname(files.path)) !== id) continue;
      places.set(name, [...(places.get(name) ?? []), files]);
    }
  }
  return [...places.values()].map((each) => new RecordingFolder(each));
}

/** Whether there is a folder under this name. */
export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

/** Whether a folder that holds a file of this name is a recording's. */
export function isRecordingFile(name: string): boolean {
  return name === manifestName || name === wholeAudioName || chunkFile.test(name);
}

/** Whether a file of this name is one that still grows, of the mix or of a lane. */
export function isUnfinished(name: string): boolean {
  return unfinishedFile.test(name);
}

function isPartOfRecording(entry: Dirent): boolean {
  return entry.isFile() && isRecordingFile(entry.name);
}

function rank(document: DocumentOnDisk<Manifest> | null): number {
  if (document === null) return -2;
  return document.value === null ? -1 : progress.indexOf(document.value.state);
}

async function readDocument<T>(
  files: RecordingFiles,
  name: string,
  schema: ZodType<T>,
): Promise<DocumentOnDisk<T> | null> {
  const stream = await files.read(name);
  if (stream === null) return null;
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of stream) {
    bytes += piece.length;
    if (bytes > maxDocumentBytes)
      return { sha256: '', value: null, problem: `larger than ${maxDocumentBytes} bytes` };
    pieces.push(piece);
  }
  return parseDocument(Buffer.concat(pieces), schema);
}

/** A document as it lies somewhere, from its bytes. */
export function parseDocument<T>(bytes: Buffer, schema: ZodType<T>): DocumentOnDisk<T> {
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

/** @param limit - bytes it should have; what lies behind them is not read */
async function readWav(files: RecordingFiles, name: string, limit: number): Promise<WavOnDisk | null> {
  const stream = await files.read(name);
  if (stream === null) return null;
  const hash = createHash('sha256');
  const enough = Math.max(limit, wavHeaderBytes);
  let header = Buffer.alloc(0);
  let bytes = 0;
  for await (const piece of stream) {
    if (bytes < wavHeaderBytes) header = Buffer.concat([header, piece.subarray(0, wavHeaderBytes - bytes)]);
    hash.update(piece);
    bytes += piece.length;
    if (bytes > enough) break;
  }
  const path = `${files.path}/${name}`;
  if (bytes <= enough) return { path, bytes, sha256: hash.digest('hex'), header };
  return { path, bytes: (await files.size(name)) ?? bytes, sha256: null, header };
}
