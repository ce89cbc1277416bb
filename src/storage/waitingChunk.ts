import type { RecordingLayout } from '../spool/Manifest.js';
import { minPartBytes } from './partSize.js';
import { wholeHeaderBytes } from '../audio/wav.js';
import type { SpooledRecording } from './SpooledRecording.js';
import { notedOf, type UploadNote } from './UploadNote.js';

/**
 * The chunk whose seal is the oldest thing that the store could have heard of and hasn't; undefined where nothing waits.
 *
 * @returns the chunk's index
 */
export function waitingChunk(recording: SpooledRecording, note: UploadNote): number | undefined {
  const { manifest, wavs, sealed } = recording;
  if (wavs.size === 0 || note.audio.length > 0) return undefined;
  const layout: RecordingLayout = manifest?.layout ?? 'chunks';
  if (layout === 'chunks' || layout === 'both') {
    const noted = new Set(note.chunks.map(({ index }) => index));
    const isNoted = (index: number) => {
      const chunk = sealed.get(index);
      return chunk === undefined ? noted.has(index) : notedOf(note, chunk) !== undefined;
    };
    return [...wavs].sort((a, b) => a - b).find((index) => !isNoted(index));
  }
  // Before its end, such a call has nothing to send but full parts.
  if (manifest?.state !== 'recording') return Math.max(...wavs);
  return layout === 'single' ? completerOf(recording, note) : undefined;
}

/** The chunk that made the next part full. */
function completerOf({ manifest }: SpooledRecording, { whole }: UploadNote): number | undefined {
  const partBytes = whole?.partBytes ?? minPartBytes;
  const sent = new Set(whole?.parts.map(({ number }) => number));
  let number = 2;
  while (sent.has(number)) number++;
  let bytes = wholeHeaderBytes;
  const block = (manifest?.channels.length ?? 0) * 2;
  return manifest?.chunks.find(({ samples }) => (bytes += samples * block) >= number * partBytes)?.index;
}
