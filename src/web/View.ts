import type { Address } from './Address.js';

/** What the page shows at an address. */
export interface View {
  readonly node: HTMLElement;
  /** Of the document. */
  readonly title: string;
  /** It is on the page now. */
  start(): void;
  /** It won't be seen again. */
  stop(): void;
  /** The address has changed. @returns whether it is this view's still; one without it never has a second address */
  moved?(address: Address): boolean;
}
