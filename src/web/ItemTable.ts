import { element } from './element.js';
import { formatTime } from './formatTime.js';
import type { TimelineItem } from './timelineItems.js';

/** Rows at once; of a call of hours there may be thousands. */
const most = 500;

/** Gaps and events of the timeline as a table, for whoever doesn't see it, or wants to go there. */
export class ItemTable {
  readonly node: HTMLElement;
  readonly #rows = element('tbody');
  readonly #count = element('span', { class: 'count' });
  readonly #note = element('p', { class: 'muted' });
  readonly #seek: (seconds: number) => void;
  #drawn = '';

  /** @param seek - to a time, s */
  constructor(seek: (seconds: number) => void) {
    this.#seek = seek;
    const heads = ['Time', 'What', 'Details'].map((text) => element('th', { scope: 'col' }, text));
    this.node = element(
      'details',
      { class: 'card items', open: true },
      element('summary', {}, element('h2', {}, 'Gaps and events ', this.#count)),
      element(
        'table',
        {},
        element('caption', { class: 'unseen' }, 'Gaps and events by their time in the recording'),
        element('thead', {}, element('tr', {}, ...heads)),
        this.#rows,
      ),
      this.#note,
    );
  }

  show(items: readonly TimelineItem[], sampleRate: number): void {
    // What is focused must not be made anew.
    const drawn = items.map(({ sample, samples, label }) => `${sample} ${samples} ${label}`).join();
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#count.textContent = String(items.length);
    this.#rows.replaceChildren(...items.slice(0, most).map((item) => this.#row(item, sampleRate)));
    this.#note.textContent =
      items.length > most ? `The first ${most} of ${items.length}; the manifest has them all.` : '';
  }

  #row({ kind, sample, label, detail }: TimelineItem, sampleRate: number): HTMLElement {
    const seconds = sample / sampleRate;
    const time = formatTime(seconds, 2);
    const go = element(
      'button',
      {
        type: 'button',
        class: 'link',
        'aria-label': `Go to ${time}, ${label}`,
        click: () => this.#seek(seconds),
      },
      time,
    );
    return element(
      'tr',
      { class: `item ${kind}` },
      element('td', {}, go),
      element('td', {}, element('span', { class: `kind ${kind}`, 'aria-hidden': 'true' }), label),
      element('td', { class: 'detail' }, detail),
    );
  }
}
