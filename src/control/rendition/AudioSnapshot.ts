import { maxDataBytes, wavHeader, wholeWavHeader } from '../../audio/wav.js';
import type { Manifest } from '../../spool/Manifest.js';
import { type Whereabouts, withHeader } from '../../storage/ChunkedPcm.js';
import type { ByteRange } from '../../storage/ObjectStore.js';
import { RecordedAudio } from './RecordedAudio.js';

export type { Whereabouts };

/**
 * A recording's audio as it was at one moment: a WAV of fixed length over all chunks and what the growing one held, RF64 where it
 * has to be. Later audio is in later snapshots. Whatever objects the recording became, the bytes are the same: the header is
 * made here, and the audio behind it comes from wherever it lies by then.
 */
export class AudioSnapshot {
  readonly audio: RecordedAudio;
  /** Size of the WAV. */
  readonly bytes: number;
  readonly #header: Uint8Array;

  constructor(audio: RecordedAudio) {
    this.audio = audio;
    const isLong = audio.pcm.bytes > maxDataBytes;
    this.#header = (isLong ? wholeWavHeader : wavHeader)(audio);
    this.bytes = this.#header.length + audio.pcm.bytes;
  }

  /** As {@link RecordedAudio.take}. */
  static async take(where: Whereabouts, manifest: Manifest, lane?: string): Promise<AudioSnapshot> {
    return new AudioSnapshot(await RecordedAudio.take(where, manifest, lane));
  }

  /**
   * One chunk as its sidecar describes it: the same bytes, also when it has no object of its own.
   *
   * @throws ReelayError `wav_too_long` for a sidecar that no chunk can have
   */
  static ofChunk(
    where: Whereabouts,
    sidecar: Parameters<typeof RecordedAudio.ofChunk>[1],
    lane?: string,
  ): AudioSnapshot {
    return new AudioSnapshot(RecordedAudio.ofChunk(where, sidecar, lane));
  }

  /** Per channel. */
  get samples(): number {
    return this.audio.samples;
  }

  /**
   * The WAV's bytes.
   *
   * @throws ReelayError `chunk_missing` when a piece of them is nowhere, or too short; the store's own error
   */
  read(range: ByteRange): AsyncGenerator<Uint8Array> {
    return withHeader(this.#header, this.audio.pcm, range);
  }
}
