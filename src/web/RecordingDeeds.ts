import { confirmDeed } from './confirmDeed.js';
import type { Hold, LiveCall, Manifest } from './documents.js';
import { element } from './element.js';
import { formatDate } from './formatDate.js';
import type { PageContext } from './Page.js';
import { ShareLink } from './ShareLink.js';

/** What holds of a recording when its deeds are shown. */
export interface DeedState {
  readonly manifest: Manifest;
  /** Undefined: its call is over. */
  readonly call: LiveCall | undefined;
  readonly hold: Hold | null;
}

/** What may be done with a recording by whoever is signed in: steer it while the call is up, share it, keep it, delete it. */
export class RecordingDeeds {
  readonly node: HTMLElement;
  readonly #context: PageContext;
  readonly #id: string;
  readonly #done: () => void;
  readonly #removed: () => void;
  readonly #buttons = element('div', { class: 'deeds' });
  readonly #held = element('p', { class: 'hint' });
  #drawn = '';

  /**
   * @param done - something may be different now
   * @param removed - there is nothing to be seen any more
   */
  constructor(context: PageContext, id: string, done: () => void, removed: () => void) {
    this.#context = context;
    this.#id = id;
    this.#done = done;
    this.#removed = removed;
    const share = new ShareLink(context, id);
    this.node = element(
      'section',
      { class: 'card' },
      element('h2', {}, 'Share and keep'),
      share.node,
      this.#buttons,
      this.#held,
    );
  }

  show({ manifest, call, hold }: DeedState): void {
    const drawn = [manifest.state, call?.recording, hold?.since, hold?.note].join();
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const { scopes } = this.#context.session;
    const buttons = scopes.includes('control') && call !== undefined ? this.#steering(call) : [];
    if (scopes.includes('delete')) buttons.push(...this.#keeping(manifest, hold));
    this.#buttons.replaceChildren(...buttons);
    const note = hold?.note ?? '';
    this.#held.textContent =
      hold === null
        ? ''
        : `Held since ${formatDate(hold.since)}${note === '' ? '' : `: ${note}`}. It can’t be deleted.`;
  }

  #steering({ recording }: LiveCall): HTMLElement[] {
    const { api } = this.#context;
    if (recording === 'running')
      return [
        this.#button('Pause, keep time', () => api.pause(this.#id, 'silence')),
        this.#button('Pause, leave out', () => api.pause(this.#id, 'skip')),
        this.#button('Stop recording', () => this.#stop(), 'danger'),
      ];
    if (recording === 'paused')
      return [
        this.#button('Resume', () => api.steer(this.#id, 'resume'), 'primary'),
        this.#button('Stop recording', () => this.#stop(), 'danger'),
      ];
    return [];
  }

  #keeping({ state }: Manifest, hold: Hold | null): HTMLElement[] {
    const { api } = this.#context;
    // What isn't stored can't be deleted, nor can a hold be kept of it.
    if (state !== 'complete' && state !== 'interrupted') return [];
    if (hold !== null) return [this.#button('Release hold', () => api.releaseHold(this.#id))];
    return [this.#button('Hold', () => this.#hold()), this.#button('Delete', () => this.#remove(), 'danger')];
  }

  async #stop(): Promise<void> {
    const question = {
      title: 'Stop this recording?',
      text: 'The call goes on without one. It can’t be begun again.',
      deed: 'Stop recording',
    };
    if ((await confirmDeed(question)) !== null) await this.#context.api.steer(this.#id, 'stop');
  }

  async #hold(): Promise<void> {
    const question = {
      title: 'Hold this recording?',
      text: 'Nobody can delete it then, and its age doesn’t either.',
      deed: 'Hold',
      note: 'Why',
    };
    const note = await confirmDeed(question);
    if (note !== null) await this.#context.api.putHold(this.#id, note === '' ? null : note);
  }

  async #remove(): Promise<void> {
    const question = {
      title: 'Delete this recording?',
      text: 'All of it is taken out of its store, for good.',
      deed: 'Delete',
    };
    if ((await confirmDeed(question)) === null) return;
    await this.#context.api.remove(this.#id);
    this.#context.notices.say('The recording is deleted.');
    this.#removed();
  }

  #button(text: string, deed: () => Promise<void>, style = ''): HTMLElement {
    return element('button', { type: 'button', class: style, click: () => void this.#do(deed) }, text);
  }

  async #do(deed: () => Promise<void>): Promise<void> {
    try {
      await deed();
    } catch (error) {
      this.#context.notices.fail(error);
    }
    this.#done();
  }
}
