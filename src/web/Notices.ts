import { ApiError } from './Api.js';
import { element } from './element.js';

/** How long a notice is shown, ms; what went wrong stays until it is closed. */
const shownMs = 5000;
/** Notices at once; the oldest go. */
const most = 4;

/** Says what has become of something that was done, to eyes and ears alike. */
export class Notices {
  readonly #place: HTMLElement;

  /** @param place - a live region */
  constructor(place: HTMLElement) {
    this.#place = place;
  }

  say(text: string): void {
    const notice = this.#show('notice', text);
    window.setTimeout(() => notice.remove(), shownMs);
  }

  fail(error: unknown): void {
    this.#show('notice bad', wordsOf(error));
  }

  #show(style: string, text: string): HTMLElement {
    const notice = element('div', { class: style }, element('span', {}, text));
    const close = (): void => notice.remove();
    notice.append(
      element('button', { type: 'button', class: 'plain', 'aria-label': 'Close', click: close }, '×'),
    );
    while (this.#place.childElementCount >= most) this.#place.firstElementChild?.remove();
    this.#place.append(notice);
    return notice;
  }
}

/** What went wrong, and what to do about it; the API's message ends with that already. */
export function wordsOf(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  return error instanceof Error ? error.message : String(error);
}
