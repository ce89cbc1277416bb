import type { Manifest, WholeAudio } from './Manifest.js';
import { wholeAudioFile } from './RecordingFolder.js';

/**
 * Of the objects that a manifest names as the whole call, those that are its own to name: its folder's `audio.wav`, and what jambonz's
 * portal looks for under its call's id. A manifest lies where others may write, in a bucket that others may share; whatever else it names
 * is neither read nor deleted for it.
 */
export function ownAudio(manifest: Manifest): readonly WholeAudio[] {
  return (manifest.audio ?? []).filter(({ key }) => wholeAudioFile(key, manifest) !== null);
}

/** The one of them whose samples are those of the chunks. */
export function ownWav(manifest: Manifest): WholeAudio | undefined {
  return ownAudio(manifest).find(({ format }) => format === 'wav');
}
