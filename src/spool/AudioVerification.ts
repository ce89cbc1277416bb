import { wholeHeaderBytes, wholeWavHeader } from '../audio/wav.js';
import { type Finding, finding, short } from './Finding.js';
import { chunkName, wholeAudioName } from './layout.js';
import type { Manifest, WholeAudio } from './Manifest.js';
import { type RecordingOnDisk, wholeAudioFile } from './RecordingFolder.js';
import type { WholeAudioOnDisk } from './WholeAudioOnDisk.js';

/** Whether each chunk has a WAV of its own: by the layout, or because the whole call isn't stored yet. */
export function hasChunkFiles({ layout = 'chunks', audio = [] }: Manifest): boolean {
  return layout === 'chunks' || layout === 'both' || audio.length === 0;
}

/** The objects that hold the whole call, against the manifest and against the chunks that were sealed. Pure. */
export function audioFindings(manifest: Manifest, recording: RecordingOnDisk): Finding[] {
  return [
    ...listFindings(manifest),
    ...leftoverFindings(manifest, recording),
    ...recording.audio.flatMap(({ said, found }) => objectFindings(said, found, manifest)),
  ];
}

/** Which objects there must be; a recording on its way to the store has none yet, and one that failed need not have any. */
function listFindings(manifest: Manifest): Finding[] {
  const { layout = 'chunks', audio = [], state } = manifest;
  const where = 'manifest.json';
  const isStored = state === 'complete' || state === 'interrupted';
  if (layout === 'chunks' || (audio.length === 0 && (!isStored || manifest.samples === 0))) return [];
  if (audio[0]?.format !== 'wav')
    return [finding('audio_missing', where, `no lossless audio (layout ${layout})`)];
  const isPortal = (entry: WholeAudio) => wholeAudioFile(entry.key, manifest)?.startsWith('/') === true;
  if (layout === 'jambonz' && !audio.some(isPortal))
    return [finding('audio_missing', where, 'no object for the portal (layout jambonz)')];
  if (layout !== 'jambonz' && !audio.some((entry) => wholeAudioFile(entry.key, manifest) === wholeAudioName))
    return [finding('audio_missing', where, `no ${wholeAudioName} (layout ${layout})`)];
  return [];
}

/** In the spool chunks lie until the whole call is confirmed, and a moment longer. */
function leftoverFindings(manifest: Manifest, recording: RecordingOnDisk): Finding[] {
  if (hasChunkFiles(manifest) || recording.isSpooled) return [];
  const left = recording.chunks.filter(({ wav }) => wav !== null);
  return left.map(({ index }) =>
    finding('chunk_unexpected', chunkName(index), `layout ${manifest.layout ?? ''}`),
  );
}

function objectFindings(said: WholeAudio, found: WholeAudioOnDisk | null, manifest: Manifest): Finding[] {
  const name = wholeAudioFile(said.key, manifest);
  if (name === null || !said.key.endsWith(`.${said.format}`))
    return [finding('audio_key_wrong', 'manifest.json', `audio: ${said.key.slice(0, 200)}`)];
  const where = name.replace(/^\//, '');
  if (found === null) return [finding('audio_missing', where)];
  const size = sizeFindings(said, found, manifest, where);
  const header = said.format === 'wav' && size.length === 0 ? headerFindings(found, manifest, where) : [];
  const chunks = chunkFindings(found, manifest, where);
  const isOther = size.length === 0 && found.sha256 !== said.sha256;
  const detail = `sha256 ${short(found.sha256)}, stored ${short(said.sha256)}`;
  return [...size, ...header, ...chunks, ...(isOther ? [finding('audio_hash_wrong', where, detail)] : [])];
}

function sizeFindings(
  said: WholeAudio,
  found: WholeAudioOnDisk,
  manifest: Manifest,
  where: string,
): Finding[] {
  const pcmBytes = manifest.samples * manifest.channels.length * 2;
  const expected = said.format === 'wav' ? wholeHeaderBytes + pcmBytes : said.bytes;
  if (said.bytes !== expected) {
    const detail = `manifest: bytes ${said.bytes}, ${manifest.samples} samples take ${expected}`;
    return [finding('manifest_sums_wrong', where, detail)];
  }
  if (found.bytes === expected) return [];
  const code = found.bytes < expected ? 'audio_truncated' : 'audio_overlong';
  return [finding(code, where, `${found.bytes} bytes instead of ${expected}`)];
}

/** The header is one of 80 bytes with exact sizes, RF64 past 4 GiB (EBU Tech 3306). */
function headerFindings(found: WholeAudioOnDisk, manifest: Manifest, where: string): Finding[] {
  const { sampleRate, channels, samples } = manifest;
  const expected = wholeWavHeader({ sampleRate, channels: channels.length, samples });
  const differs = (from: number, to: number) =>
    Buffer.compare(found.header.subarray(from, to), expected.subarray(from, to)) !== 0;
  // Offsets: RIFF at 0 and its size at 4, WAVE at 8, JUNK or ds64 at 12 and its sizes at 20, fmt at 48, data at 72.
  if (differs(0, 4) || differs(8, 20) || differs(48, 56) || differs(72, 76))
    return [finding('wav_invalid', where, 'header tags')];
  if (differs(56, 72)) return [finding('wav_format_wrong', where, formatText(found.header))];
  if (differs(4, 8) || differs(20, 48) || differs(76, 80)) {
    const view = Buffer.from(found.header);
    const detail = `RIFF ${view.readUInt32LE(4)}, data ${view.readUInt32LE(76)} in a file of ${found.bytes} bytes`;
    return [finding('wav_header_wrong', where, detail)];
  }
  return [];
}

function formatText(header: Uint8Array): string {
  const view = Buffer.from(header);
  return `format ${view.readUInt16LE(56)}, ${view.readUInt16LE(58)} channels, ${view.readUInt32LE(60)} Hz, ${view.readUInt16LE(70)} bits`;
}

/** A chunk that isn't there to its end is told by the object's length. */
function chunkFindings(found: WholeAudioOnDisk, manifest: Manifest, where: string): Finding[] {
  return manifest.chunks.flatMap((entry, at) => {
    const sha256 = found.chunks.get(at);
    if (sha256 === undefined || sha256 === entry.sha256) return [];
    const detail = `chunk ${entry.index}: sha256 ${short(sha256)}, sealed ${short(entry.sha256)}`;
    return [finding('audio_chunk_wrong', where, detail)];
  });
}
