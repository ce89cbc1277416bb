import { type Finding, finding, short } from './Finding.js';
import { gapText, joinedGaps, overlaps } from './gaps.js';
import { headerFindings } from './headerFindings.js';
import { chunkName, sidecarName } from './layout.js';
import type { ChunkLane, Gap, Manifest, ManifestChunk, Sidecar } from './Manifest.js';
import type { ChunkOnDisk, LaneOnDisk, RecordingOnDisk } from './RecordingFolder.js';

/** A lane's file has one channel, whatever the recording has. */
const mono: Manifest['channels'] = [{ role: 'mixed' }];

/** The files of a chunk's lanes against what manifest and sidecar say of them. Pure. */
export function laneFindings(chunk: ChunkOnDisk, entry: ManifestChunk, manifest: Manifest): Finding[] {
  const listed = new Map(entry.lanes?.map((each) => [each.lane, each]));
  return [
    ...(chunk.lanes ?? []).flatMap((lane) => fileFindings(chunk.index, lane, listed, entry, manifest)),
    ...sidecarFindings(chunk.sidecar?.value ?? null, entry, manifest),
  ];
}

function fileFindings(
  index: number,
  { lane, wav }: LaneOnDisk,
  listed: ReadonlyMap<string, ChunkLane>,
  { samples }: ManifestChunk,
  { sampleRate }: Manifest,
): Finding[] {
  const where = chunkName(index, lane);
  const said = listed.get(lane);
  if (said === undefined) return [finding('lane_unlisted', where)];
  if (wav === null) return [finding('lane_missing', where)];
  const header = headerFindings(wav, { bytes: said.bytes, samples }, { where, sampleRate, channels: mono });
  if (header.length > 0 || wav.sha256 === said.sha256) return header;
  const other = [...listed.values()].find(({ sha256 }) => sha256 === wav.sha256);
  const isSwapped = other === undefined ? '' : `, that of ${other.lane}`;
  const detail = `sha256 ${short(wav.sha256)}${isSwapped}, sealed ${short(said.sha256)}`;
  return [finding('lane_hash_wrong', where, detail)];
}

function sidecarFindings(sidecar: Sidecar | null, entry: ManifestChunk, manifest: Manifest): Finding[] {
  if (sidecar === null) return [];
  const where = sidecarName(entry.index);
  const sealed = sidecar.lanes ?? [];
  const text = (lanes: readonly ChunkLane[]): string =>
    lanes.map(({ lane, bytes, sha256 }) => `${lane} ${bytes} ${sha256}`).join('; ');
  const findings: Finding[] = [];
  if (text(sealed) !== text(entry.lanes ?? [])) {
    const names = (lanes: readonly ChunkLane[]): string => lanes.map(({ lane }) => lane).join(', ') || 'none';
    const detail = `sidecar: ${names(sealed)}; manifest: ${names(entry.lanes ?? [])}`;
    findings.push(finding('lanes_differ', where, detail));
  }
  const known = new Map((manifest.lanes ?? []).map((each) => [each.lane, each]));
  for (const { lane, identity, source, samples, gaps } of sealed) {
    const said = known.get(lane);
    if (said?.identity !== identity || said.source !== source || samples !== entry.samples)
      findings.push(finding('lanes_differ', where, `${lane}: ${identity}, ${source}, ${samples} samples`));
    const outside = gaps.filter((gap) => isOutside(gap, entry));
    findings.push(...outside.map((gap) => finding('gap_outside', where, `${lane}: ${gapText(gap)}`)));
    findings.push(...overlaps(gaps).map((gap) => finding('gap_overlap', where, `${lane}: ${gapText(gap)}`)));
  }
  return findings;
}

function isOutside({ channel, startSample, samples, skippedSamples }: Gap, chunk: ManifestChunk): boolean {
  const isEmpty = samples === 0 && skippedSamples === undefined;
  const end = chunk.startSample + chunk.samples;
  return channel !== 0 || isEmpty || startSample < chunk.startSample || startSample + samples > end;
}

/** The gaps of each lane as the manifest has them against those of the sidecars, where all of these can be read. */
export function gapsByLaneFindings(manifest: Manifest, { chunks }: RecordingOnDisk): Finding[] {
  const sidecars = new Map(chunks.map(({ index, sidecar }) => [index, sidecar?.value ?? null]));
  const sealed = manifest.chunks.map(({ index }) => sidecars.get(index) ?? null);
  if (sealed.includes(null)) return [];
  return (manifest.lanes ?? []).flatMap(({ lane, gaps }) => {
    const ofLane = sealed.flatMap((each) => each?.lanes?.find((other) => other.lane === lane)?.gaps ?? []);
    const [said, found] = [gaps, ofLane].map((each) => joinedGaps(each).map(gapText).join('; ') || 'none');
    if (said === found) return [];
    return [
      finding(
        'gaps_differ',
        'manifest.json',
        `lane ${lane}: manifest: ${said ?? ''}; sidecars: ${found ?? ''}`,
      ),
    ];
  });
}
