import { wavHeader, wholeWavHeader } from '../../audio/wav.js';
import { documentSchemas } from '../../spool/documentSchemas.js';
import type { Finding } from '../../spool/Finding.js';
import { chunkName, laneFileNamed, uploadName } from '../../spool/layout.js';
import type { Manifest, ManifestChunk } from '../../spool/Manifest.js';
import {
  type AudioOnDisk,
  type ChunkOnDisk,
  isUnfinished,
  parseDocument,
  wholeAudioFile,
} from '../../spool/RecordingFolder.js';
import { verify } from '../../spool/Verification.js';

/** What is known of a recording without reading any audio. */
export interface KnownFiles {
  readonly manifest: Manifest;
  /** Sidecars as they were written, by index. */
  readonly sidecars: ReadonlyMap<number, string>;
  /** Bytes of what there is in spool and store, by name; of an object elsewhere in the store by its key, with a slash before it. */
  readonly sizes: ReadonlyMap<string, number>;
}

/**
 * What `reelay verify` would find without reading audio: documents that contradict each other, a chain that is broken, files that are
 * missing or have another length. Whatever a file holds is taken for what it should be.
 */
export function cheapFindings({ manifest, sidecars, sizes }: KnownFiles): Finding[] {
  const names = [...sizes.keys()];
  const listed = new Set(manifest.chunks.map(({ index }) => index));
  const others = names.flatMap((name) => /^(\d+)-audio\.wav$/.exec(name)?.[1] ?? []).map(Number);
  const lanes = names.flatMap((name) => laneFileNamed(name) ?? []).filter(({ isOpen }) => !isOpen);
  const unlisted = new Set(
    [...others, ...lanes.map(({ index }) => index)].filter((index) => !listed.has(index)),
  );
  return verify({
    recordingId: manifest.recordingId,
    manifest: { sha256: '', value: manifest, problem: null },
    chunks: [
      ...manifest.chunks.map((chunk) => {
        const there = lanes.filter(({ index }) => index === chunk.index).map(({ lane }) => lane);
        return {
          ...chunkOf(chunk, { manifest, sidecars, sizes }),
          ...lanesOf(chunk, there, manifest, sizes),
        };
      }),
      ...[...unlisted].map((index) => ({ index, wav: null, sidecar: null })),
    ],
    audio: (manifest.audio ?? []).map((said) => audioOf(said, manifest, sizes)),
    unfinished: names.filter(isUnfinished).sort(),
    isSpooled: sizes.has(uploadName),
  });
}

function chunkOf(chunk: ManifestChunk, { manifest, sidecars, sizes }: KnownFiles): ChunkOnDisk {
  const { index, samples, sha256 } = chunk;
  const path = chunkName(index);
  const bytes = sizes.get(path);
  const text = sidecars.get(index);
  const header = headerOf(() => wavHeader({ ...shapeOf(manifest), samples }));
  return {
    index,
    wav: bytes === undefined ? null : { path, bytes, sha256, header },
    sidecar: text === undefined ? null : parseDocument(Buffer.from(text), documentSchemas.sidecar),
  };
}

/** @param there - lanes that have a file of the chunk */
function lanesOf(
  { index, samples, lanes = [] }: ManifestChunk,
  there: readonly string[],
  { sampleRate }: Manifest,
  sizes: ReadonlyMap<string, number>,
): Pick<ChunkOnDisk, 'lanes'> {
  const said = new Map(lanes.map((each) => [each.lane, each.sha256]));
  const header = headerOf(() => wavHeader({ sampleRate, channels: 1, samples }));
  const names = [...new Set([...said.keys(), ...there])].sort();
  if (names.length === 0) return {};
  return {
    lanes: names.map((lane) => {
      const path = chunkName(index, lane);
      const bytes = sizes.get(path);
      return {
        lane,
        wav: bytes === undefined ? null : { path, bytes, sha256: said.get(lane) ?? null, header },
      };
    }),
  };
}

function audioOf(
  said: AudioOnDisk['said'],
  manifest: Manifest,
  sizes: ReadonlyMap<string, number>,
): AudioOnDisk {
  const name = wholeAudioFile(said.key, manifest) ?? '';
  const bytes = sizes.get(name);
  const header = headerOf(() => wholeWavHeader({ ...shapeOf(manifest), samples: manifest.samples }));
  const found = bytes === undefined ? null : { name, bytes, sha256: said.sha256, header, chunks: new Map() };
  return { said, found };
}

function shapeOf({ sampleRate, channels }: Manifest): { sampleRate: number; channels: number } {
  return { sampleRate, channels: channels.length };
}

/** A manifest that somebody made up may say a length that no file can have; its sums tell of that. */
function headerOf(make: () => Uint8Array): Uint8Array {
  try {
    return make();
  } catch {
    return new Uint8Array(0);
  }
}
