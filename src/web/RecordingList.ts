import { type Address, writeAddress } from './Address.js';
import type { ListedRecording, RecordingPage } from './documents.js';
import { element } from './element.js';
import { explain } from './explain.js';
import { formatDate } from './formatDate.js';
import { formatTime } from './formatTime.js';
import { wordsOf } from './Notices.js';
import type { PageContext } from './Page.js';
import { parties } from './parties.js';
import { RecordingFilter } from './RecordingFilter.js';
import { stateBadge } from './stateBadge.js';
import type { View } from './View.js';

const pageLength = 50;

/** Recordings, the newest first, and a way to find one among them. */
export class RecordingList implements View {
  readonly title = 'Recordings';
  readonly node: HTMLElement;
  readonly #context: PageContext;
  readonly #filter: RecordingFilter;
  readonly #rows = element('tbody');
  readonly #status = element('p', { class: 'muted', role: 'status' });
  readonly #more = element(
    'button',
    { type: 'button', hidden: true, click: () => void this.#turn() },
    'Show more',
  );
  #next: string | null = null;
  /** Counts questions, so that an answer that comes late doesn't overwrite a later one. */
  #question = 0;

  constructor(context: PageContext, address: Address) {
    this.#context = context;
    this.#filter = new RecordingFilter(context.session.isAdmin, address.query, () => this.#changed());
    const heads = ['Call', 'Began', 'Length', 'State'];
    if (context.session.isAdmin) heads.push('Account');
    const head = element('tr', {}, ...heads.map((text) => element('th', { scope: 'col' }, text)));
    const again = element('button', { type: 'button', click: () => void this.#read() }, 'Refresh');
    this.node = element(
      'section',
      {},
      element('div', { class: 'heading' }, element('h1', {}, 'Recordings'), again),
      this.#filter.node,
      this.#status,
      element(
        'table',
        { class: 'recordings' },
        element('caption', { class: 'unseen' }, 'Recordings, the newest first'),
        element('thead', {}, head),
        this.#rows,
      ),
      element('div', { class: 'more' }, this.#more),
    );
  }

  start(): void {
    void this.#read();
  }

  stop(): void {
    this.#question++;
    this.#filter.stop();
  }

  moved({ place, query }: Address): boolean {
    if (place !== 'recordings') return false;
    if (query.toString() !== this.#filter.query.toString()) {
      this.#filter.take(query);
      void this.#read();
    }
    return true;
  }

  #changed(): void {
    history.replaceState(null, '', writeAddress({ place: 'recordings', query: this.#filter.query }));
    void this.#read();
  }

  async #read(): Promise<void> {
    const page = await this.#ask();
    if (page === undefined) return;
    this.#rows.replaceChildren(...page.recordings.map((each) => this.#row(each)));
    const isAll = this.#filter.query.toString() === '';
    const none = isAll
      ? 'There are no recordings yet.'
      : 'No recording matches. Numbers are found by their beginning or their end, ids by their beginning.';
    const count = page.recordings.length;
    const found = `${count}${page.next === null ? '' : ' or more'} recording${count === 1 ? '' : 's'}`;
    this.#status.textContent = count === 0 ? none : found;
  }

  async #turn(): Promise<void> {
    const page = await this.#ask(this.#next);
    if (page === undefined) return;
    const rows = page.recordings.map((each) => this.#row(each));
    this.#rows.append(...rows);
    rows[0]?.querySelector('a')?.focus();
    const shown = this.#rows.childElementCount;
    this.#status.textContent = `${shown}${page.next === null ? '' : ' or more'} recordings`;
  }

  /** @returns undefined where it failed, which was told, or a later question has been asked */
  async #ask(cursor: string | null = null): Promise<RecordingPage | undefined> {
    const question = ++this.#question;
    const query = this.#filter.asked();
    query.set('limit', String(pageLength));
    if (cursor !== null) query.set('cursor', cursor);
    try {
      const page = await this.#context.api.recordings(query);
      if (question !== this.#question) return undefined;
      this.#next = page.next;
      this.#more.hidden = page.next === null;
      return page;
    } catch (error) {
      if (question === this.#question) this.#status.textContent = wordsOf(error);
      return undefined;
    }
  }

  #row(recording: ListedRecording): HTMLElement {
    const { recordingId: id, accountId, startTime, state, reason, durationSeconds } = recording;
    const href = writeAddress({ place: 'recording', id });
    const title = parties(recording);
    const under =
      title === recording.callId ? recording.provider : `${recording.provider} · ${recording.callId}`;
    const cell = (name: string, ...children: readonly (Node | string)[]): HTMLElement =>
      element('td', { 'data-head': name }, ...children);
    const why = reason === null ? [] : [element('span', { class: 'hint' }, explain.reason(reason))];
    const lost = recording.completeness.some((share) => share < 1) && state !== 'recording';
    if (lost) why.push(element('span', { class: 'hint' }, completenessOf(recording)));
    const row = element(
      'tr',
      {},
      element(
        'th',
        { scope: 'row' },
        element('a', { href, class: 'row-link' }, title),
        element('span', { class: 'hint' }, under),
      ),
      cell('Began', element('time', { datetime: startTime }, formatDate(startTime))),
      cell('Length', formatTime(durationSeconds)),
      cell('State', stateBadge(state), ...why),
    );
    if (this.#context.session.isAdmin)
      row.append(cell('Account', element('span', { class: 'id' }, accountId)));
    return row;
  }
}

function completenessOf({ completeness }: ListedRecording): string {
  const least = Math.min(...completeness);
  // Cut, not rounded: what isn't whole must not look so.
  return `${Math.floor(least * 10_000) / 100} % of the audio is there`;
}
