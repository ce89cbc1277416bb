import { recordingPath } from './Api.js';
import type { Manifest } from './documents.js';
import { element } from './element.js';
import { formatBytes } from './formatBytes.js';
import { formatTime } from './formatTime.js';
import { queryFor, type Selection } from './Player.js';

/** Chunks that are listed; a call of a day has more. */
const mostChunks = 200;
const wavHeadBytes = 44;

/** What of a recording can be saved: the audio in three formats, its documents, each chunk. */
export class Downloads {
  readonly node: HTMLElement;
  readonly #audio = element('div', { class: 'deeds' });
  readonly #documents = element('div', { class: 'deeds' });
  readonly #chunks = element('tbody');
  readonly #chunkList: HTMLElement;
  #drawn = '';

  constructor() {
    const heads = ['Chunk', 'From', 'Length', 'Size', 'SHA-256'].map((text) =>
      element('th', { scope: 'col' }, text),
    );
    this.#chunkList = element(
      'details',
      {},
      element('summary', {}, 'Chunks'),
      element(
        'div',
        { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Chunks' },
        element(
          'table',
          { class: 'chunks' },
          element('thead', {}, element('tr', {}, ...heads)),
          this.#chunks,
        ),
      ),
    );
    this.node = element(
      'section',
      { class: 'card' },
      element('h2', {}, 'Download'),
      this.#audio,
      this.#documents,
      this.#chunkList,
    );
  }

  /**
   * @param samples - there are by now
   * @param selection - who is heard, and therefore saved
   */
  show(manifest: Manifest, samples: number, selection: Selection): void {
    const drawn = [manifest.chunks.length, manifest.state, samples > 0, selection].join();
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const path = recordingPath(manifest.recordingId);
    this.#audio.hidden = samples === 0;
    this.#audio.replaceChildren(...this.#audioLinks(manifest, samples, selection));
    this.#documents.replaceChildren(
      ...['segments.json', 'waveform.json'].flatMap((name) =>
        samples === 0 ? [] : [link(`${path}/${name}`, name, `${manifest.recordingId}-${name}`)],
      ),
    );
    this.#documents.prepend(link(path, 'manifest.json', `${manifest.recordingId}-manifest.json`));
    this.#chunkList.hidden = manifest.chunks.length === 0;
    this.#chunks.replaceChildren(
      ...manifest.chunks.slice(0, mostChunks).map((chunk) => chunkRow(path, manifest, chunk)),
    );
  }

  #audioLinks(
    { recordingId, callId, channels, state }: Manifest,
    samples: number,
    selection: Selection,
  ): HTMLElement[] {
    const path = `${recordingPath(recordingId)}/audio.wav`;
    const part = selection === 'all' ? '' : `-${partName(selection, channels)}`;
    return (['wav', 'opus', 'mp3'] as const).map((format) => {
      const query = queryFor(selection);
      if (format !== 'wav') query.set('format', format);
      const asked = query.toString();
      const href = asked === '' ? path : `${path}?${asked}`;
      const count = selection === 'all' ? channels.length : 1;
      // Of what grows the size would be wrong before it is read.
      const isKnown = format === 'wav' && state !== 'recording';
      const size = isKnown ? ` (${formatBytes(wavHeadBytes + samples * 2 * count)})` : '';
      return link(href, `${names[format]}${size}`, `${callId}${part}.${format}`);
    });
  }
}

function partName(selection: Selection, channels: Manifest['channels']): string {
  if (selection.startsWith('lane:')) return selection.slice('lane:'.length);
  return selection === 'mix' ? 'mix' : (channels[Number(selection)]?.role ?? selection);
}

const names = { wav: 'WAV', opus: 'Opus', mp3: 'MP3' } as const;

function link(href: string, text: string, download: string): HTMLElement {
  return element('a', { class: 'button', href, download }, text);
}

function chunkRow(
  path: string,
  { recordingId, sampleRate }: Manifest,
  { index, startSample, samples, bytes, sha256 }: Manifest['chunks'][number],
): HTMLElement {
  const wav = element(
    'a',
    { href: `${path}/chunks/${index}.wav`, download: `${recordingId}-${index}.wav` },
    `${index}.wav`,
  );
  const sidecar = element(
    'a',
    { href: `${path}/chunks/${index}.json`, download: `${recordingId}-${index}.json` },
    'sidecar',
  );
  return element(
    'tr',
    {},
    element('td', {}, wav, ' ', sidecar),
    element('td', {}, formatTime(startSample / sampleRate)),
    element('td', {}, formatTime(samples / sampleRate, 1)),
    element('td', {}, formatBytes(bytes)),
    element('td', { class: 'id', title: sha256 }, `${sha256.slice(0, 12)}…`),
  );
}
