import { element } from './element.js';
import { formatDate } from './formatDate.js';
import type { PageContext } from './Page.js';

/** How long a link opens, s. */
const lengths = [
  ['an hour', 3600],
  ['a day', 86_400],
  ['a week', 7 * 86_400],
  ['30 days', 30 * 86_400],
] as const;

/** Makes a link for somebody without a key. */
export class ShareLink {
  readonly node: HTMLElement;
  readonly #context: PageContext;
  readonly #id: string;
  readonly #length = element('select', { id: 'share-length' });
  readonly #link = element('input', { type: 'text', readonly: true, 'aria-label': 'The link' });
  readonly #until = element('p', { class: 'hint', role: 'status' });
  readonly #made: HTMLElement;

  constructor(context: PageContext, id: string) {
    this.#context = context;
    this.#id = id;
    for (const [text, seconds] of lengths) this.#length.append(element('option', { value: seconds }, text));
    this.#length.value = '86400';
    const make = element('button', { type: 'button', click: () => void this.#make() }, 'Make a link');
    const copy = element('button', { type: 'button', click: () => void this.#copy() }, 'Copy');
    this.#made = element('div', { class: 'made', hidden: true }, this.#link, copy);
    this.node = element(
      'div',
      { class: 'share' },
      element('label', { class: 'inline' }, element('span', {}, 'Opens for'), this.#length),
      make,
      this.#made,
      this.#until,
    );
  }

  async #make(): Promise<void> {
    try {
      const { url, expires } = await this.#context.api.share(this.#id, Number(this.#length.value));
      this.#link.value = url;
      this.#made.hidden = false;
      this.#until.textContent = `Whoever has it hears this recording without a key, until ${formatDate(expires)}.`;
      this.#link.focus();
      this.#link.select();
    } catch (error) {
      this.#context.notices.fail(error);
    }
  }

  async #copy(): Promise<void> {
    this.#link.select();
    try {
      // Browsers have no clipboard for pages that came without TLS, except from this machine.
      await navigator.clipboard.writeText(this.#link.value);
      this.#context.notices.say('The link is copied.');
    } catch {
      this.#context.notices.say('Copy what is marked.');
    }
  }
}
