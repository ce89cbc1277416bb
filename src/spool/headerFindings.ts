import { wavHeader, wavHeaderBytes } from '../audio/wav.js';
import { type Finding, finding } from './Finding.js';
import type { Manifest, ManifestChunk } from './Manifest.js';
import type { WavOnDisk } from './RecordingFolder.js';

/** No chunk's own WAV is longer: its sizes have 32 bits. */
const maxWavBytes = 0xffff_ffff;

/**
 * Compares the header with the one that a file of this size must have; see "Multimedia Programming Interface" 1.0, WAVE.
 *
 * @param where - the name of the file
 */
export function headerFindings(
  wav: WavOnDisk,
  entry: Pick<ManifestChunk, 'bytes' | 'samples'>,
  { where, sampleRate, channels }: Pick<Manifest, 'sampleRate' | 'channels'> & { readonly where: string },
): Finding[] {
  const frameBytes = channels.length * 2;
  const expectedBytes = wavHeaderBytes + entry.samples * frameBytes;
  if (entry.bytes !== expectedBytes || expectedBytes > maxWavBytes) {
    const detail = `manifest: bytes ${entry.bytes}, ${entry.samples} samples take ${expectedBytes}`;
    return [finding('manifest_sums_wrong', where, detail)];
  }
  if (wav.bytes !== expectedBytes) {
    const code = wav.bytes < expectedBytes ? 'wav_truncated' : 'wav_overlong';
    return [finding(code, where, `${wav.bytes} bytes instead of ${expectedBytes}`)];
  }
  const expected = wavHeader({ sampleRate, channels: channels.length, samples: entry.samples });
  const differs = (from: number, to: number) =>
    Buffer.compare(wav.header.subarray(from, to), expected.subarray(from, to)) !== 0;
  // Offsets: tags at 0, 8 to 19 and 36, format at 20 to 35, sizes at 4 and 40.
  if (differs(0, 4) || differs(8, 20) || differs(36, 40))
    return [finding('wav_invalid', where, 'header tags')];
  if (differs(20, 36)) return [finding('wav_format_wrong', where, formatText(wav.header))];
  if (differs(4, 8) || differs(40, 44)) return [finding('wav_header_wrong', where, sizesText(wav))];
  return [];
}

function formatText(header: Uint8Array): string {
  const view = Buffer.from(header);
  const tag = view.readUInt16LE(20);
  return `format ${tag}, ${view.readUInt16LE(22)} channels, ${view.readUInt32LE(24)} Hz, ${view.readUInt16LE(34)} bits`;
}

function sizesText(wav: WavOnDisk): string {
  const view = Buffer.from(wav.header);
  return `RIFF ${view.readUInt32LE(4)}, data ${view.readUInt32LE(40)} in a file of ${wav.bytes} bytes`;
}
