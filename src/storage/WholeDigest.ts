import { createHash, type Hash } from 'node:crypto';
import { wavHeader, wholeHeaderBytes } from '../audio/wav.js';
import { ReelayError } from '../config/ReelayError.js';
import type { ManifestChunk } from '../spool/Manifest.js';
import { chunkKey } from './SpooledRecording.js';
import type { WholeWav } from './WholeWav.js';

/** Sums of the whole call, hex. */
export interface WholeDigest {
  readonly sha256: string;
  /** Of each part, in order. */
  readonly parts: readonly string[];
}

/**
 * Reads the whole call once, before it is made an object: what is about to be confirmed for good must be what was sealed.
 *
 * @param partBytes - of every part but the last
 * @throws ReelayError `checksum_mismatch` for a chunk that isn't what its manifest says; as `WholeWav.read`
 */
export async function digestOf(
  folder: string,
  wav: WholeWav,
  chunks: readonly ManifestChunk[],
  partBytes: number,
): Promise<WholeDigest> {
  const whole = createHash('sha256');
  const parts = new Sections(function* () {
    for (;;) yield { bytes: partBytes };
  });
  const audio = new Sections(() => chunkSections(wav, chunks));
  let at = 0;
  for await (const piece of wav.read({ start: 0, end: wav.bytes - 1 }) as AsyncIterable<Buffer>) {
    whole.update(piece);
    parts.update(piece);
    audio.update(piece.subarray(Math.max(0, Math.min(piece.length, wholeHeaderBytes - at))));
    at += piece.length;
  }
  const sums = audio.end();
  const sealed = chunks.filter(({ samples }) => samples > 0);
  const wrong = sealed.find(({ sha256 }, index) => sums[index] !== sha256);
  if (wrong !== undefined)
    throw new ReelayError('checksum_mismatch', { value: chunkKey(folder, wrong.index) });
  return { sha256: whole.digest('hex'), parts: parts.end() };
}

/** A run of bytes with a sum of its own, which may begin with something that isn't in the run. */
interface Section {
  readonly bytes: number;
  readonly head?: Uint8Array;
}

/** A chunk's own WAV is its header and its stretch of the whole call. */
function* chunkSections(
  { sampleRate, channels }: WholeWav,
  chunks: readonly ManifestChunk[],
): Generator<Section, undefined> {
  for (const { samples } of chunks)
    if (samples > 0)
      yield { bytes: samples * channels * 2, head: wavHeader({ sampleRate, channels, samples }) };
}

/** Sums of consecutive stretches of what flows by. */
class Sections {
  readonly #sections: Iterator<Section, undefined>;
  readonly #sums: string[] = [];
  #hash: Hash | null = null;
  #left = 0;

  constructor(sections: () => Iterator<Section, undefined>) {
    this.#sections = sections();
  }

  update(piece: Buffer): void {
    for (let rest = piece; rest.length > 0;) {
      const hash = this.#hash ?? this.#begin();
      if (hash === null) return;
      const mine = rest.subarray(0, this.#left);
      hash.update(mine);
      rest = rest.subarray(mine.length);
      this.#left -= mine.length;
      if (this.#left === 0) this.#close();
    }
  }

  end(): readonly string[] {
    this.#close();
    return this.#sums;
  }

  #begin(): Hash | null {
    const next = this.#sections.next();
    if (next.done === true) return null;
    const { bytes, head = new Uint8Array() } = next.value;
    this.#left = bytes;
    this.#hash = createHash('sha256').update(head);
    return this.#hash;
  }

  #close(): void {
    if (this.#hash !== null) this.#sums.push(this.#hash.digest('hex'));
    this.#hash = null;
  }
}
