import { readFile } from 'node:fs/promises';
import { samplesOf, channelOf } from '../../src/audio/pcm.js';
import { readWavHeader, wavHeaderBytes } from '../../src/audio/wav.js';
import { verdictOn } from '../../src/cli/verify.js';
import type { Manifest } from '../../src/spool/Manifest.js';
import type { RecordingFolder } from '../../src/spool/RecordingFolder.js';
import type { Finding } from '../../src/spool/Verification.js';
import { keepWav } from '../fixtures/keepWav.js';

/** A recording as anybody finds it in the store: its manifest, its samples, and what `verify` says of it. */
export interface StoredCall {
  readonly manifest: Manifest;
  /** By channel, over all chunks. */
  readonly channels: readonly Int16Array[];
  readonly findings: readonly Finding[];
}

/** @throws Error when there is no readable manifest or a chunk is missing */
export async function readStoredCall(folder: RecordingFolder): Promise<StoredCall> {
  const recording = await folder.read();
  const manifest = recording.manifest?.value;
  if (manifest === null || manifest === undefined) throw new Error(`no manifest in ${folder.paths.join()}`);
  const count = manifest.channels.length;
  const channels = manifest.channels.map(() => new Int16Array(manifest.samples));
  let position = 0;
  for (const { wav, index } of recording.chunks) {
    if (wav === null) throw new Error(`chunk ${index} is missing`);
    await keepWav(wav.path);
    const bytes = await readFile(wav.path);
    const { dataBytes } = readWavHeader(bytes);
    const pcm = samplesOf(bytes.subarray(wavHeaderBytes, wavHeaderBytes + dataBytes));
    for (const [channel, track] of channels.entries()) track.set(channelOf(pcm, channel, count), position);
    position += pcm.length / count;
  }
  const { findings } = await verdictOn(folder);
  return { manifest, channels, findings };
}
