import type { Api } from './Api.js';
import type { WaveformDocument, WaveformLevel } from './documents.js';
import { readWaveformData } from './readWaveformData.js';

/** Of a recording of hours the document has the coarse levels only: what somebody looks at closely is asked for then, and once. */
export class FineWaveform {
  readonly #api: Api;
  readonly #id: string;
  readonly #come: () => void;
  readonly #levels = new Map<number, WaveformLevel>();
  /** The finest that was asked for, samples in a bin. */
  #asked = Infinity;

  /** @param come - told when there is more to draw */
  constructor(api: Api, id: string, come: () => void) {
    this.#api = api;
    this.#id = id;
    this.#come = come;
  }

  /** @param samplesPerPixel - as it is drawn */
  want(samplesPerPixel: number, whole: WaveformDocument | null): void {
    const finest = whole?.levels[0]?.samplesPerBin;
    if (whole === null || finest === undefined || whole.state === 'recording') return;
    if (samplesPerPixel >= Math.min(finest, this.#asked) || isFinest(finest, whole)) return;
    this.#asked = samplesPerPixel;
    void this.#fetch(Math.max(1, Math.floor(samplesPerPixel / 4)));
  }

  /** The levels of a document and those that came beside it, the finest first. */
  with(levels: readonly WaveformLevel[]): readonly WaveformLevel[] {
    return [...this.#levels.values(), ...levels].sort((a, b) => a.samplesPerBin - b.samplesPerBin);
  }

  async #fetch(samplesPerBin: number): Promise<void> {
    try {
      const level = readWaveformData(await this.#api.waveformData(this.#id, samplesPerBin));
      if (level !== undefined) this.#levels.set(level.samplesPerBin, level);
      this.#asked = Math.min(this.#asked, level?.samplesPerBin ?? Infinity);
      this.#come();
    } catch {
      // It stays coarse.
    }
  }
}

/** 20 ms are all that is kept. */
function isFinest(samplesPerBin: number, { sampleRate }: WaveformDocument): boolean {
  return samplesPerBin * 50 <= sampleRate;
}
