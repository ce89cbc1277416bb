import { audioFindings, hasChunkFiles } from './AudioVerification.js';
import { type Finding, finding, short } from './Finding.js';
import { completenessOf, gapText, joinedGaps, overlaps, skippedUpTo } from './gaps.js';
import { headerFindings } from './headerFindings.js';
import { gapsByLaneFindings, laneFindings } from './LaneVerification.js';
import type { ChunkOnDisk, RecordingOnDisk, WavOnDisk } from './RecordingFolder.js';
import type { Gap, Manifest, ManifestChunk, Sidecar } from './Manifest.js';
import { wallClockMs } from './wallClock.js';

export { type Finding, type FindingCode, findingCodes } from './Finding.js';

/** How far the wall clock may be off the samples, ms: frames are 20 ms, and a call's end is noticed a few frames late. */
const durationToleranceMs = 100;
/** Wall clocks are written in whole milliseconds. */
const timeToleranceMs = 1;
const completenessTolerance = 1e-6;

/**
 * Checks a recording against itself: everything that is said twice must agree, and everything that is said of a file must be
 * true of it. An interrupted recording is whole as far as it goes. Pure; an empty list means whole.
 */
export function verify(recording: RecordingOnDisk): Finding[] {
  const { manifest } = recording;
  if (manifest === null) return [finding('manifest_missing', 'manifest.json')];
  const said = manifest.value;
  if (said === null) return [finding('manifest_invalid', 'manifest.json', manifest.problem ?? '')];
  const listed = new Map(said.chunks.map((entry) => [entry.index, entry]));
  return [
    ...stateFindings(said, recording),
    ...sumFindings(said),
    ...orderFindings(said),
    ...recording.chunks.flatMap((chunk) => chunkFindings(chunk, said, listed)),
    ...audioFindings(said, recording),
    ...gapFindings(said, recording),
    ...gapsByLaneFindings(said, recording),
    ...durationFindings(said),
  ];
}

function stateFindings(manifest: Manifest, recording: RecordingOnDisk): Finding[] {
  if (manifest.state === 'recording')
    return [finding('not_finished', 'manifest.json', `since ${manifest.startTime}`)];
  const left = recording.unfinished.map((name) => finding('unfinished_chunk', name));
  if (manifest.state !== 'failed') return left;
  return [finding('failed', 'manifest.json', manifest.reason ?? 'no reason given'), ...left];
}

function sumFindings(manifest: Manifest): Finding[] {
  const findings: Finding[] = [];
  const samples = manifest.chunks.reduce((sum, chunk) => sum + chunk.samples, 0);
  if (samples !== manifest.samples) {
    findings.push(
      finding('manifest_sums_wrong', 'manifest.json', `samples ${manifest.samples}, chunks hold ${samples}`),
    );
  }
  const seconds = manifest.samples / manifest.sampleRate;
  if (Math.abs(seconds - manifest.durationSeconds) > 0.001) {
    const detail = `durationSeconds ${manifest.durationSeconds}, samples make ${seconds}`;
    findings.push(finding('manifest_sums_wrong', 'manifest.json', detail));
  }
  return findings;
}

/** Numbers, positions and lengths of the chunks, as the manifest lists them. */
function orderFindings(manifest: Manifest): Finding[] {
  const findings: Finding[] = [];
  const fullLength = Math.round(manifest.chunkSeconds * manifest.sampleRate);
  let position = 0;
  for (const [at, chunk] of manifest.chunks.entries()) {
    const where = wavName(chunk.index);
    if (chunk.index !== at) findings.push(finding('chunk_order_wrong', where, `at place ${at} of the list`));
    if (chunk.startSample !== position) {
      const detail = `starts at ${chunk.startSample}, the chunk before ends at ${position}`;
      findings.push(finding('chunk_position_wrong', where, detail));
    }
    const isLast = at === manifest.chunks.length - 1;
    if (isLast ? chunk.samples > fullLength : chunk.samples !== fullLength) {
      findings.push(
        finding('chunk_length_wrong', where, `${chunk.samples} samples instead of ${fullLength}`),
      );
    }
    position = chunk.startSample + chunk.samples;
  }
  return findings;
}

type Listed = ReadonlyMap<number, ManifestChunk>;

function chunkFindings(chunk: ChunkOnDisk, manifest: Manifest, listed: Listed): Finding[] {
  const entry = listed.get(chunk.index);
  if (entry === undefined) return unlistedFindings(chunk, manifest);
  return [
    ...(chunk.wav === null ? missingFindings(chunk, manifest) : wavFindings(chunk.wav, entry, manifest)),
    ...sidecarFindings(chunk, entry, manifest),
    ...laneFindings(chunk, entry, manifest),
    ...chainFindings(chunk, listed),
  ];
}

/** Where the audio of the whole call is one object, that is what holds the chunks. */
function missingFindings(chunk: ChunkOnDisk, manifest: Manifest): Finding[] {
  return hasChunkFiles(manifest) ? [finding('chunk_missing', wavName(chunk.index))] : [];
}

/** While a call is recorded its newest chunks are sealed a moment before the manifest lists them. */
function unlistedFindings(chunk: ChunkOnDisk, manifest: Manifest): Finding[] {
  const isJustSealed = manifest.state === 'recording' && chunk.index >= manifest.chunks.length;
  return isJustSealed ? [] : [finding('chunk_unlisted', wavName(chunk.index))];
}

/** A fault of the header or the length changes the hash too; only the closest description is given. */
function wavFindings(wav: WavOnDisk, entry: ManifestChunk, manifest: Manifest): Finding[] {
  const where = wavName(entry.index);
  const header = headerFindings(wav, entry, { ...manifest, where });
  if (header.length > 0) return header;
  if (wav.sha256 === entry.sha256) return [];
  const other = manifest.chunks.find((listed) => listed.sha256 === wav.sha256);
  if (other !== undefined) return [finding('chunk_swapped', where, `holds chunk ${other.index}`)];
  return [finding('chunk_hash_wrong', where, `sha256 ${short(wav.sha256)}, sealed ${short(entry.sha256)}`)];
}

function sidecarFindings(chunk: ChunkOnDisk, entry: ManifestChunk, manifest: Manifest): Finding[] {
  const where = `${chunk.index}-metadata.json`;
  if (chunk.sidecar === null) return [finding('sidecar_missing', where)];
  const { value, problem, sha256 } = chunk.sidecar;
  if (value === null) return [finding('sidecar_invalid', where, problem ?? '')];
  const findings: Finding[] = [];
  if (sha256 !== entry.sidecarSha256) {
    findings.push(
      finding('sidecar_hash_wrong', where, `sha256 ${short(sha256)}, listed ${short(entry.sidecarSha256)}`),
    );
  }
  const differing = differingKeys(value, entry, manifest);
  if (differing.length > 0) findings.push(finding('sidecar_differs', where, differing.join(', ')));
  const expectedMs = wallClockMs(manifest, entry.startSample);
  if (Math.abs(Date.parse(value.startTime) - expectedMs) > timeToleranceMs) {
    const detail = `startTime ${value.startTime}, its position says ${timeText(expectedMs)}`;
    findings.push(finding('chunk_time_wrong', where, detail));
  }
  return [...findings, ...chunkGapFindings(value, where)];
}

/** A position that somebody made up may lie beyond every date. */
function timeText(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? 'a time that does not exist' : date.toISOString();
}

function differingKeys(sidecar: Sidecar, entry: ManifestChunk, manifest: Manifest): string[] {
  const ofChunk = (['index', 'startSample', 'samples', 'bytes', 'sha256'] as const).filter(
    (key) => sidecar[key] !== entry[key],
  );
  const ofCall = (['recordingId', 'callId', 'accountId', 'provider', 'sampleRate'] as const).filter(
    (key) => sidecar[key] !== manifest[key],
  );
  const isOther = rolesOf(sidecar) !== rolesOf(manifest);
  return [...ofChunk, ...ofCall, ...(isOther ? ['channels'] : [])];
}

function rolesOf({ channels }: Pick<Manifest, 'channels'>): string {
  return channels.map(({ role }) => role).join();
}

function chainFindings(chunk: ChunkOnDisk, listed: Listed): Finding[] {
  const sidecar = chunk.sidecar?.value;
  if (sidecar === null || sidecar === undefined) return [];
  const expected = listed.get(chunk.index - 1)?.sha256 ?? null;
  if (sidecar.previousSha256 === expected) return [];
  const detail = `previousSha256 ${short(sidecar.previousSha256)} instead of ${short(expected)}`;
  return [finding('chain_broken', `${chunk.index}-metadata.json`, detail)];
}

function chunkGapFindings(sidecar: Sidecar, where: string): Finding[] {
  const from = sidecar.startSample;
  const to = from + sidecar.samples;
  const outside = sidecar.gaps.filter(
    (gap) =>
      gap.channel >= sidecar.channels.length ||
      (gap.samples === 0 && gap.skippedSamples === undefined) ||
      gap.startSample < from ||
      gap.startSample + gap.samples > to,
  );
  return [
    ...outside.map((gap) =>
      finding('gap_outside', where, `${gapText(gap)}, the chunk holds ${from} to ${to}`),
    ),
    ...overlaps(sidecar.gaps).map((gap) => finding('gap_overlap', where, gapText(gap))),
  ];
}

/** The manifest's gaps against those of the sidecars, and both against the completeness. */
function gapFindings(manifest: Manifest, recording: RecordingOnDisk): Finding[] {
  const where = 'manifest.json';
  const findings = overlaps(manifest.gaps).map((gap) => finding('gap_overlap', where, gapText(gap)));
  const sidecars = recording.chunks.flatMap((chunk) => chunk.sidecar?.value ?? []);
  const there = new Set(sidecars.map(({ index }) => index));
  const areAllThere = manifest.chunks.every(({ index }) => there.has(index));
  const entries = new Set(manifest.chunks.map(({ index }) => index));
  const listed = sidecars.filter(({ index }) => entries.has(index));
  const said = joinedGaps(manifest.gaps.filter((gap) => isSealed(gap, manifest)))
    .map(gapText)
    .join('; ');
  const sealed = joinedGaps(listed.flatMap(({ gaps }) => gaps))
    .map(gapText)
    .join('; ');
  if (areAllThere && said !== sealed) {
    findings.push(
      finding('gaps_differ', where, `manifest: ${said || 'none'}; sidecars: ${sealed || 'none'}`),
    );
  }
  return [...findings, ...completenessFindings(manifest)];
}

/** The manifest of a running call may know of gaps in audio that isn't sealed yet. */
function isSealed(gap: Gap, manifest: Manifest): boolean {
  return manifest.state !== 'recording' || gap.startSample + gap.samples <= manifest.samples;
}

function completenessFindings(manifest: Manifest): Finding[] {
  const { samples, channels, completeness } = manifest;
  const expected = channels.map((_, channel) => {
    return samples === 0 ? null : completenessOf(manifest.gaps, channel, samples);
  });
  if (manifest.state === 'recording') return [];
  const isRight =
    completeness.length === expected.length &&
    expected.every(
      (value, channel) =>
        value === null || Math.abs(value - (completeness[channel] ?? -1)) <= completenessTolerance,
    );
  if (isRight) return [];
  const detail = `says ${completeness.join(' and ')}, the gaps leave ${expected.join(' and ')}`;
  return [finding('completeness_wrong', 'manifest.json', detail)];
}

function durationFindings(manifest: Manifest): Finding[] {
  if (manifest.endTime === null || manifest.state === 'failed') return [];
  const callMs = Date.parse(manifest.endTime) - Date.parse(manifest.startTime);
  const skipped = skippedUpTo(manifest.gaps, 0, manifest.samples);
  const audioMs = ((manifest.samples + skipped) / manifest.sampleRate) * 1000;
  if (Math.abs(callMs - audioMs) <= durationToleranceMs) return [];
  return [
    finding(
      'duration_wrong',
      'manifest.json',
      `the call took ${callMs} ms, its audio ${Math.round(audioMs)} ms`,
    ),
  ];
}

function wavName(index: number): string {
  return `${index}-audio.wav`;
}
