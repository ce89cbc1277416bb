import type { Manifest } from '../spool/Manifest.js';
import { notedOf, unstoredLanes, type UploadNote } from './UploadNote.js';

/**
 * What the store keeps for good: the recorder's manifest with the state that it ends in, and the objects that hold the whole
 * call. One for a portal that was too long for it has become one of layout `single`. A recording that lacks a chunk can't have
 * one of those; it is stored in chunks, and says so.
 */
export function finalManifest(manifest: Manifest, note: UploadNote): Manifest {
  const missing = manifest.chunks.filter((chunk) => notedOf(note, chunk)?.sidecarStored !== true);
  const audio = note.audio.length === 0 ? {} : { audio: note.audio };
  if (missing.length > 0) {
    const reason = `chunk_missing: ${missing.map(({ index }) => index).join(', ')}`;
    const layout =
      note.audio.length === 0 && manifest.layout !== undefined ? { layout: 'chunks' as const } : {};
    return { ...manifest, ...audio, ...layout, state: 'interrupted', reason };
  }
  const lanes = manifest.chunks.flatMap((chunk) =>
    unstoredLanes(note, chunk).map(({ lane }) => `${chunk.index}-${lane}`),
  );
  if (lanes.length > 0)
    return { ...manifest, ...audio, state: 'interrupted', reason: `lane_missing: ${lanes.join(', ')}` };
  const state = manifest.state === 'uploading' ? 'complete' : manifest.state;
  const isWithoutPortal = manifest.layout === 'jambonz' && note.audio.length > 0 && note.portal === null;
  return { ...manifest, ...audio, ...(isWithoutPortal ? { layout: 'single' as const } : {}), state };
}
