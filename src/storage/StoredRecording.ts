import type { Readable } from 'node:stream';
import { documentSchemas } from '../spool/documentSchemas.js';
import { manifestName } from '../spool/layout.js';
import type { Manifest } from '../spool/Manifest.js';
import type { ObjectStore } from './ObjectStore.js';
import { folderOf } from './SpooledRecording.js';

/** Larger manifests are not read: somebody else's file. An hour of call with a chunk a second has one of 1 MiB. */
const maxManifestBytes = 64 * 2 ** 20;

/** A finished recording in a store. */
export interface StoredRecording {
  /** Below the store's root. */
  readonly folder: string;
  readonly manifest: Manifest;
}

const manifestKey = /^[^/]+\/\d{8}\/[^/]+\/[^/]+\/manifest\.json$/;

/** Which part of a store is looked through. */
export interface StoreScope {
  /** Default: all of it. */
  readonly prefix?: string;
  /** Leaves out recordings of earlier days, `YYYYMMDD`. */
  readonly since?: string;
  /** Leaves out recordings of this day and later, `YYYYMMDD`; default: none. */
  readonly before?: string;
  /** Objects that are listed before it is given up; default: no limit. */
  readonly most?: number;
  /** Told when it was given up. */
  readonly cut?: () => void;
}

/** Manifests that are read at once. */
const readAtOnce = 8;

/** Every recording of a store whose manifest can be read and lies where it says that it belongs. */
export async function* storedRecordings(
  store: ObjectStore,
  scope: StoreScope = {},
): AsyncGenerator<StoredRecording> {
  let folders: string[] = [];
  for await (const folder of storedFolders(store, scope)) {
    folders.push(folder);
    if (folders.length < readAtOnce) continue;
    yield* await readAll(store, folders);
    folders = [];
  }
  yield* await readAll(store, folders);
}

async function* storedFolders(
  store: ObjectStore,
  { prefix = '', since = '', before, most = Infinity, cut }: StoreScope,
): AsyncGenerator<string> {
  // Within one account the keys are in the order of their days, and the store can leave out what comes before.
  const after = prefix === '' || since === '' ? undefined : `${prefix}${since}`;
  let listed = 0;
  for await (const { key } of store.list(prefix, after)) {
    if (++listed > most) return cut?.();
    const [, day = ''] = key.split('/');
    if (manifestKey.test(key) && day >= since && (before === undefined || day < before))
      yield key.slice(0, -manifestName.length - 1);
  }
}

async function readAll(store: ObjectStore, folders: readonly string[]): Promise<StoredRecording[]> {
  const found = await Promise.all(
    folders.map(async (folder) => ({ folder, manifest: await readStoredManifest(store, folder) })),
  );
  return found.flatMap(({ folder, manifest }) => (manifest === null ? [] : { folder, manifest }));
}

/**
 * @returns the manifest, or null when there is none that can be read or it belongs to another folder
 * @throws the store's own error when it can't be asked
 */
export async function readStoredManifest(store: ObjectStore, folder: string): Promise<Manifest | null> {
  const key = `${folder}/${manifestName}`;
  if ((await store.size(key)) === null) return null;
  const manifest = await parseManifest(await store.read(key));
  return manifest !== null && folderOf(manifest) === folder ? manifest : null;
}

async function parseManifest(stream: Readable): Promise<Manifest | null> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of stream as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > maxManifestBytes) return null;
    pieces.push(piece);
  }
  try {
    const { success, data } = documentSchemas.manifest.safeParse(
      JSON.parse(Buffer.concat(pieces).toString()),
    );
    return success ? data : null;
  } catch {
    return null;
  }
}
