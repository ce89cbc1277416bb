import type { Api } from './Api.js';
import type { Session } from './documents.js';
import { element } from './element.js';
import { wordsOf } from './Notices.js';
import type { View } from './View.js';

/** Asks for a key. The key is sent once; what stays is a cookie that no script can read. */
export class SignIn implements View {
  readonly title = 'Sign in';
  readonly node: HTMLElement;
  readonly #api: Api;
  readonly #signedIn: (session: Session) => void;
  readonly #key = element('input', {
    id: 'key',
    type: 'password',
    autocomplete: 'current-password',
    required: true,
    'aria-describedby': 'key-hint key-fault',
    spellcheck: 'false',
  });
  readonly #fault = element('p', { id: 'key-fault', class: 'fault', role: 'alert' });
  readonly #button = element('button', { type: 'submit', class: 'primary' }, 'Sign in');

  constructor(api: Api, signedIn: (session: Session) => void) {
    this.#api = api;
    this.#signedIn = signedIn;
    this.node = element(
      'section',
      { class: 'sign-in card' },
      element('h1', {}, 'reelay'),
      element('p', { class: 'muted' }, 'Recordings of phone calls, while they are up and after.'),
      this.#form(),
    );
  }

  start(): void {
    this.#key.focus();
  }

  stop(): void {
    this.#key.value = '';
  }

  #form(): HTMLElement {
    const submit = (event: Event): void => {
      event.preventDefault();
      void this.#submit();
    };
    return element(
      'form',
      { submit },
      element('label', { for: 'key' }, 'Key'),
      this.#key,
      element(
        'p',
        { id: 'key-hint', class: 'hint' },
        'A key of the configuration: an account’s, or an administrator’s.',
      ),
      this.#fault,
      this.#button,
    );
  }

  async #submit(): Promise<void> {
    this.#button.disabled = true;
    this.#fault.textContent = '';
    try {
      const session = await this.#api.signIn(this.#key.value.trim());
      this.#key.value = '';
      this.#signedIn(session);
    } catch (error) {
      this.#fault.textContent = wordsOf(error);
      this.#key.setAttribute('aria-invalid', 'true');
      this.#key.select();
    } finally {
      this.#button.disabled = false;
    }
  }
}
