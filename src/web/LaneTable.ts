import type { Manifest } from './documents.js';
import { element } from './element.js';
import { formatTime } from './formatTime.js';
import { type Selection, selectionOf } from './Player.js';

type Lane = NonNullable<Manifest['lanes']>[number];

/** Rows at once, and stretches of one row; the manifest has them all. */
const most = 200;
const mostStretches = 20;

/** Who was in a room, and when; each can be heard alone. */
export class LaneTable {
  readonly node: HTMLElement;
  readonly #rows = element('tbody');
  readonly #count = element('span', { class: 'count' });
  readonly #hear: (selection: Selection) => void;
  #drawn = '';

  /** @param hear - one lane, or all of them */
  constructor(hear: (selection: Selection) => void) {
    this.#hear = hear;
    const heads = ['Who', 'Source', 'There', 'Gaps', ''].map((text) => element('th', { scope: 'col' }, text));
    this.node = element(
      'section',
      { class: 'card lanes', hidden: true },
      element('h2', {}, 'Participants ', this.#count),
      element(
        'div',
        { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Participants' },
        element('table', {}, element('thead', {}, element('tr', {}, ...heads)), this.#rows),
      ),
    );
  }

  show({ lanes, sampleRate }: Manifest): void {
    // What is focused must not be made anew.
    const drawn = JSON.stringify(lanes?.map(({ lane, presence, gaps }) => [lane, presence, gaps.length]));
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.node.hidden = lanes === undefined;
    this.#count.textContent = String(lanes?.length ?? 0);
    this.#rows.replaceChildren(...(lanes ?? []).slice(0, most).map((lane) => this.#row(lane, sampleRate)));
  }

  #row(lane: Lane, sampleRate: number): HTMLElement {
    const who = nameOf(lane);
    const time = (sample: number | null): string =>
      sample === null ? 'now' : formatTime(sample / sampleRate);
    const there = lane.presence
      .slice(0, mostStretches)
      .map(({ joinedSample, leftSample }) => `${time(joinedSample)} – ${time(leftSample)}`);
    const hear = element(
      'button',
      {
        type: 'button',
        'aria-label': `Hear ${who} alone`,
        click: () => this.#hear(selectionOf(lane.lane)),
      },
      'Hear',
    );
    return element(
      'tr',
      {},
      element('td', { title: lane.identity }, who),
      element('td', {}, `${lane.source.replaceAll('_', ' ')}, ${lane.kind.toLowerCase()}`),
      element('td', {}, there.join(', ')),
      element('td', {}, String(lane.gaps.length)),
      element('td', {}, hear),
    );
  }
}

/** What a participant calls themselves, else what the server does. */
export function nameOf({ name, identity }: Pick<Lane, 'name' | 'identity'>): string {
  return name === '' ? identity : name;
}
