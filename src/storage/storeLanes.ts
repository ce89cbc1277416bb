import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { chunkName } from '../spool/layout.js';
import type { ManifestChunk } from '../spool/Manifest.js';
import { chunkKey } from './SpooledRecording.js';
import { hashOf, unlinkConfirmed } from './unlinkConfirmed.js';
import { notedOf, unstoredLanes, withChunk, withLanes, withoutMultipart } from './UploadNote.js';
import { deliver, type Workpiece } from './Workpiece.js';

/**
 * Stores the lanes' own files of a chunk whose audio is confirmed, whatever the layout: what holds the whole call holds the mix alone.
 * All of them are put, noted together, and only then removed here. One that is neither here nor noted is looked for in the store; if it
 * isn't there either, the recording goes on without it, and its manifest says so.
 *
 * @throws as {@link deliver}
 */
export async function storeLanes(work: Workpiece, chunk: ManifestChunk): Promise<void> {
  const { recording, note, visit } = work;
  const here = recording.laneWavs.get(chunk.index) ?? new Set<string>();
  const stored = [...(notedOf(note.content, chunk)?.lanesStored ?? [])];
  const noted = (chunk.lanes ?? []).filter(({ lane }) => stored.includes(lane) && here.has(lane));
  const settled: string[] = [];
  const put: string[] = [];
  for (const { lane, sha256 } of unstoredLanes(note.content, chunk)) {
    const key = chunkKey(recording.folder, chunk.index, lane);
    if (!here.has(lane)) {
      if (await holds(work, key, sha256)) stored.push(lane);
      continue;
    }
    const name = chunkName(chunk.index, lane);
    const file = join(recording.path, name);
    const parcel = { kind: 'lane', name, key, file, sha256, sealedMs: null } as const;
    const { mayBeOpen } = await deliver(work, parcel);
    if (!mayBeOpen) settled.push(key);
    put.push(lane);
  }
  if (put.length > 0) visit.step('chunk_put');
  const all = [...stored, ...put];
  if (all.length > (notedOf(note.content, chunk)?.lanesStored?.length ?? 0)) {
    await note.change((content) => {
      // Where the whole call is one object, the chunk isn't noted before its sidecar is.
      const isNoted = notedOf(content, chunk) !== undefined;
      const there = isNoted ? content : withChunk(content, { ...chunk, sidecarStored: false });
      return settled.reduce(withoutMultipart, withLanes(there, chunk, all));
    });
  }
  if (put.length > 0) visit.step('chunk_noted');
  for (const lane of put) await unlink(join(recording.path, chunkName(chunk.index, lane)));
  for (const { lane, sha256 } of noted)
    await unlinkConfirmed(join(recording.path, chunkName(chunk.index, lane)), sha256);
  if (put.length + noted.length > 0) visit.step('chunk_unlinked');
}

async function holds({ store, visit }: Workpiece, key: string, sha256: string): Promise<boolean> {
  return await visit.ask(async () => {
    if ((await store.size(key)) === null) return false;
    return (await hashOf(await store.read(key))) === sha256;
  });
}
