import { element } from './element.js';
import { explain } from './explain.js';

/** Between the last letter and the question, ms. */
const typingMs = 250;
const states = ['recording', 'uploading', 'complete', 'interrupted', 'failed'] as const;
type Name = 'search' | 'state' | 'account' | 'from' | 'to';

/** What recordings are looked for by. Days are those of whoever looks. */
export class RecordingFilter {
  readonly node: HTMLFormElement;
  readonly #fields: ReadonlyMap<Name, HTMLInputElement | HTMLSelectElement>;
  readonly #changed: () => void;
  #typing: number | undefined;

  /** @param changed - told when another list is wanted */
  constructor(isAdmin: boolean, query: URLSearchParams, changed: () => void) {
    this.#changed = changed;
    const options = [element('option', { value: '' }, 'Any state')];
    for (const state of states) options.push(element('option', { value: state }, explain.state(state)));
    const search = element('input', {
      id: 'search',
      type: 'search',
      placeholder: 'Number, call or recording id',
      maxlength: 100,
    });
    this.#fields = new Map<Name, HTMLInputElement | HTMLSelectElement>([
      ['search', search],
      ['state', element('select', { id: 'state' }, ...options)],
      ['from', element('input', { id: 'from', type: 'date' })],
      ['to', element('input', { id: 'to', type: 'date' })],
      ...(isAdmin ? [['account', element('input', { id: 'account', type: 'text' })] as const] : []),
    ]);
    const labels: Readonly<Record<Name, string>> = {
      search: 'Search',
      state: 'State',
      account: 'Account',
      from: 'From',
      to: 'Up to',
    };
    const fields = [...this.#fields].map(([name, field]) =>
      element('div', { class: `field ${name}` }, element('label', { for: name }, labels[name]), field),
    );
    const submit = (event: Event): void => {
      event.preventDefault();
      this.#now();
    };
    this.node = element('form', { class: 'filter', role: 'search', submit }, ...fields);
    this.node.addEventListener('input', () => this.#later());
    this.take(query);
  }

  /** Fills the fields. */
  take(query: URLSearchParams): void {
    for (const [name, field] of this.#fields) field.value = query.get(name) ?? '';
  }

  /** What is in the fields, for the page's address. */
  get query(): URLSearchParams {
    const query = new URLSearchParams();
    for (const [name, field] of this.#fields) {
      const value = field.value.trim();
      if (value !== '') query.set(name, value);
    }
    return query;
  }

  /** The same as the API takes it. */
  asked(): URLSearchParams {
    const query = this.query;
    const [from, to] = [query.get('from'), query.get('to')];
    if (from !== null) query.set('from', new Date(`${from}T00:00`).toISOString());
    if (to !== null) query.set('to', dayAfter(to).toISOString());
    return query;
  }

  stop(): void {
    window.clearTimeout(this.#typing);
  }

  #later(): void {
    window.clearTimeout(this.#typing);
    this.#typing = window.setTimeout(() => this.#changed(), typingMs);
  }

  #now(): void {
    window.clearTimeout(this.#typing);
    this.#changed();
  }
}

/** The day that is named counts as well. */
function dayAfter(day: string): Date {
  const date = new Date(`${day}T00:00`);
  date.setDate(date.getDate() + 1);
  return date;
}
