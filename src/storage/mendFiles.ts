import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { wavHeader, wavHeaderBytes } from '../audio/wav.js';
import { renameDurably, writeDurably } from '../spool/durable.js';
import { filePieces } from '../spool/filePieces.js';
import { gapsBetween } from '../spool/gaps.js';
import { chunkName, sidecarName } from '../spool/layout.js';
import type { ChunkLane, Manifest, ManifestChunk, Sidecar, SidecarLane } from '../spool/Manifest.js';
import type { Quarantine } from '../spool/Quarantine.js';
import { wallClockAt } from '../spool/wallClock.js';
import type { SpooledRecording } from './SpooledRecording.js';
import { hashOf } from './unlinkConfirmed.js';
import { notedOf } from './UploadNote.js';

/**
 * Makes good what is missing or damaged in the folder of a recording that is over, as far as the manifest's sums prove it: a sidecar
 * holds nothing that the manifest doesn't, and a WAV's header nothing either. What can't be made good is set aside, and the
 * recording goes on without.
 *
 * @param isDeep - reads every WAV and sidecar; otherwise only sidecars that are missing are made
 * @returns whether anything was changed, so that the folder has to be read anew
 */
export async function mendFiles(
  recording: SpooledRecording,
  manifest: Manifest,
  quarantine: Quarantine,
  isDeep: boolean,
): Promise<boolean> {
  let isChanged = false;
  let previous: string | null = null;
  for (const chunk of manifest.chunks) {
    for (const wav of isDeep ? wavsHere(recording, manifest, chunk) : [])
      isChanged = (await mendWav(recording.path, manifest, wav, quarantine)) || isChanged;
    isChanged =
      (await mendSidecar(recording, manifest, { chunk, previous }, quarantine, isDeep)) || isChanged;
    previous = chunk.sha256;
  }
  return isChanged;
}

/** A WAV of a chunk that lies here. */
interface SealedWav extends Pick<ManifestChunk, 'samples' | 'bytes' | 'sha256'> {
  readonly name: string;
  readonly channels: number;
  /** The store has it as it should be. */
  readonly isStored: boolean;
}

/** Of a chunk, and of each of its lanes. */
function wavsHere(
  { wavs, laneWavs, note }: SpooledRecording,
  manifest: Manifest,
  chunk: ManifestChunk,
): SealedWav[] {
  const { index, samples, bytes, sha256, lanes = [] } = chunk;
  const noted = notedOf(note, chunk);
  const channels = manifest.channels.length;
  const mix = { name: chunkName(index), samples, bytes, sha256, channels, isStored: noted !== undefined };
  const here = lanes.filter(({ lane }) => laneWavs.get(index)?.has(lane) === true);
  return [
    ...(wavs.has(index) ? [mix] : []),
    ...here.map((each) => ({
      name: chunkName(index, each.lane),
      samples,
      bytes: each.bytes,
      sha256: each.sha256,
      channels: 1,
      isStored: noted?.lanesStored?.includes(each.lane) === true,
    })),
  ];
}

async function mendWav(
  path: string,
  manifest: Manifest,
  wav: SealedWav,
  quarantine: Quarantine,
): Promise<boolean> {
  const file = join(path, wav.name);
  if ((await hashOf(filePieces(file))) === wav.sha256) return false;
  const mended = `${file}.tmp`;
  const isMended = !wav.isStored && (await rewrite(file, mended, manifest, wav));
  quarantine.setAside(file, 'it does not hold the audio that was sealed');
  if (isMended) await renameDurably(mended, file);
  return true;
}

/** Copies the samples that should be there behind the header that they should have. @returns whether they are what was sealed */
async function rewrite(
  file: string,
  mended: string,
  { sampleRate }: Manifest,
  { channels, samples, bytes, sha256 }: SealedWav,
): Promise<boolean> {
  const header = wavHeader({ sampleRate, channels, samples });
  const hash = createHash('sha256').update(header);
  const range = { start: wavHeaderBytes, end: Math.max(wavHeaderBytes, bytes - 1) };
  const target = await open(mended, 'w');
  try {
    await target.writeFile(header);
    for await (const piece of createReadStream(file, range) as AsyncIterable<Buffer>) {
      hash.update(piece);
      await target.writeFile(piece);
    }
  } finally {
    await target.close();
  }
  return hash.digest('hex') === sha256;
}

async function mendSidecar(
  { path, note, sealed, names, wavs }: SpooledRecording,
  manifest: Manifest,
  { chunk, previous }: { readonly chunk: ManifestChunk; readonly previous: string | null },
  quarantine: Quarantine,
  isDeep: boolean,
): Promise<boolean> {
  const name = sidecarName(chunk.index);
  const file = join(path, name);
  const isThere = names.includes(name);
  if (isThere && sealed.has(chunk.index) && !isDeep) return false;
  if (isThere && (await hashOf(filePieces(file))) === chunk.sidecarSha256) return false;
  if (isThere) quarantine.setAside(file, 'it is not the sidecar that was sealed');
  if (notedOf(note, chunk)?.sidecarStored === true) return isThere;
  // Without its audio it would promise something.
  if (!wavs.has(chunk.index) && notedOf(note, chunk) === undefined) return isThere;
  const text = sidecarText(manifest, chunk, previous);
  if (createHash('sha256').update(text).digest('hex') !== chunk.sidecarSha256) return isThere;
  await writeDurably(file, text);
  return true;
}

/** The sidecar as the recorder writes it, byte for byte. */
function sidecarText(manifest: Manifest, chunk: ManifestChunk, previousSha256: string | null): string {
  const { recordingId, callId, accountId, provider, sampleRate, channels } = manifest;
  const { index, startSample, samples, bytes, sha256 } = chunk;
  const sidecar: Sidecar = {
    schema: 1,
    recordingId,
    callId,
    accountId,
    provider,
    index,
    startTime: wallClockAt(manifest, startSample),
    startSample,
    samples,
    sampleRate,
    channels,
    gaps: gapsBetween(manifest.gaps, startSample, startSample + samples),
    bytes,
    sha256,
    previousSha256,
    ...(chunk.lanes === undefined ? {} : { lanes: lanesOf(manifest, chunk, chunk.lanes) }),
  };
  return JSON.stringify(sidecar, null, 2) + '\n';
}

function lanesOf(
  { lanes = [] }: Manifest,
  { startSample, samples }: ManifestChunk,
  sealed: readonly ChunkLane[],
): SidecarLane[] {
  return sealed.map(({ lane, bytes, sha256 }) => {
    const { identity = '', source = '', gaps = [] } = lanes.find((each) => each.lane === lane) ?? {};
    const within = gapsBetween(gaps, startSample, startSample + samples);
    return { lane, identity, source, samples, bytes, sha256, gaps: within };
  });
}
