import { readAddress, writeAddress, type Address } from './Address.js';
import { ApiError, type Api } from './Api.js';
import type { Session } from './documents.js';
import { element } from './element.js';
import { LiveCalls } from './LiveCalls.js';
import { wordsOf, type Notices } from './Notices.js';
import { RecordingList } from './RecordingList.js';
import { RecordingView } from './RecordingView.js';
import { SignIn } from './SignIn.js';
import { SystemView } from './SystemView.js';
import type { View } from './View.js';

/** What every view may use. */
export interface PageContext {
  readonly api: Api;
  readonly notices: Notices;
  readonly session: Session;
}

export interface PageParts {
  readonly api: Api;
  readonly top: HTMLElement;
  readonly main: HTMLElement;
  readonly notices: Notices;
}

/** What somebody is shown as who needs no key. */
const withoutKey = 'this machine';

/** The frame around the views: who is signed in, where they are, and what they see there. */
export class Page {
  readonly #parts: PageParts;
  #session: Session | null = null;
  #view: View | null = null;

  constructor(parts: PageParts) {
    this.#parts = parts;
    parts.api.signedOut = () => this.#askForKey();
    window.addEventListener('hashchange', () => this.#go());
  }

  async start(): Promise<void> {
    try {
      this.#enter(await this.#parts.api.session());
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) this.#askForKey();
      else this.#parts.main.replaceChildren(element('p', { class: 'notice bad' }, wordsOf(error)));
    }
  }

  #askForKey(): void {
    if (this.#view instanceof SignIn) return;
    this.#session = null;
    this.#parts.top.hidden = true;
    this.#show(new SignIn(this.#parts.api, (session) => this.#enter(session)));
  }

  #enter(session: Session): void {
    this.#session = session;
    this.#go();
  }

  #go(): void {
    if (this.#session === null) return;
    const address = readAddress(location.hash);
    this.#drawTop(this.#session, address);
    if (this.#view?.moved?.(address) === true) return;
    this.#show(this.#viewAt(address, this.#session));
  }

  #viewAt(address: Address, session: Session): View {
    const { api, notices } = this.#parts;
    const context: PageContext = { api, notices, session };
    switch (address.place) {
      case 'calls':
        return new LiveCalls(context);
      case 'recording':
        return new RecordingView(context, address);
      case 'system':
        return session.isAdmin ? new SystemView(context) : new RecordingList(context, address);
      case 'recordings':
        return new RecordingList(context, address);
    }
  }

  #show(view: View): void {
    const isFirst = this.#view === null;
    this.#view?.stop();
    this.#view = view;
    document.title = `${view.title} – reelay`;
    this.#parts.main.replaceChildren(view.node);
    window.scrollTo(0, 0);
    // Whoever hears the page or goes by the keyboard begins where it changed.
    if (!isFirst) this.#parts.main.focus({ preventScroll: true });
    view.start();
  }

  #drawTop({ name, isAdmin }: Session, { place }: Address): void {
    const link = (to: Address['place'], text: string): HTMLElement => {
      const isHere = place === to || (to === 'recordings' && place === 'recording');
      return element(
        'a',
        { href: writeAddress({ place: to }), 'aria-current': isHere ? 'page' : null },
        text,
      );
    };
    const links = [link('calls', 'Live'), link('recordings', 'Recordings')];
    if (isAdmin) links.push(link('system', 'System'));
    const out = element(
      'button',
      { type: 'button', class: 'plain', click: () => void this.#leave() },
      'Sign out',
    );
    const who = element('span', { class: 'who', title: 'the key’s name' }, name);
    this.#parts.top.hidden = false;
    this.#parts.top.replaceChildren(
      element('a', { class: 'brand', href: writeAddress({ place: 'recordings' }) }, 'reelay'),
      element('nav', { 'aria-label': 'Views' }, ...links),
      element('div', { class: 'session' }, who, ...(name === withoutKey ? [] : [out])),
    );
  }

  async #leave(): Promise<void> {
    try {
      await this.#parts.api.signOut();
      this.#askForKey();
    } catch (error) {
      this.#parts.notices.fail(error);
    }
  }
}
