import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { wavHeader, wavHeaderBytes } from '../audio/wav.js';
import { renameDurably, writeDurably } from '../spool/durable.js';
import { filePieces } from '../spool/filePieces.js';
import { gapsBetween } from '../spool/gaps.js';
import { chunkName, sidecarName } from '../spool/layout.js';
import type { Manifest, ManifestChunk, Sidecar } from '../spool/Manifest.js';
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
    if (isDeep && recording.wavs.has(chunk.index))
      isChanged = (await mendWav(recording, manifest, chunk, quarantine)) || isChanged;
    isChanged =
      (await mendSidecar(recording, manifest, { chunk, previous }, quarantine, isDeep)) || isChanged;
    previous = chunk.sha256;
  }
  return isChanged;
}

async function mendWav(
  { path, note }: SpooledRecording,
  manifest: Manifest,
  chunk: ManifestChunk,
  quarantine: Quarantine,
): Promise<boolean> {
  const file = join(path, chunkName(chunk.index));
  if ((await hashOf(filePieces(file))) === chunk.sha256) return false;
  const mended = `${file}.tmp`;
  const isMended = notedOf(note, chunk) === undefined && (await rewrite(file, mended, manifest, chunk));
  quarantine.setAside(file, 'it does not hold the audio that was sealed');
  if (isMended) await renameDurably(mended, file);
  return true;
}

/** Copies the samples that should be there behind the header that they should have. @returns whether they are what was sealed */
async function rewrite(
  file: string,
  mended: string,
  manifest: Manifest,
  chunk: ManifestChunk,
): Promise<boolean> {
  const { sampleRate, channels } = manifest;
  const header = wavHeader({ sampleRate, channels: channels.length, samples: chunk.samples });
  const hash = createHash('sha256').update(header);
  const range = { start: wavHeaderBytes, end: Math.max(wavHeaderBytes, chunk.bytes - 1) };
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
  return hash.digest('hex') === chunk.sha256;
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
  };
  return JSON.stringify(sidecar, null, 2) + '\n';
}
