import { accountOf, type Config } from '../config/Config.js';
import { FileStore } from './FileStore.js';
import type { ObjectStore } from './ObjectStore.js';

/** The stores of a configuration: one object per place, however many accounts share it. */
export class Stores {
  readonly #config: Config;
  readonly #byDir = new Map<string, ObjectStore>();

  constructor(config: Config) {
    this.#config = config;
    for (const { store } of config.accounts)
      if (store !== null && !this.#byDir.has(store.dir)) this.#byDir.set(store.dir, new FileStore(store.dir));
  }

  /** The store of the account that a recording names; null where the account is unknown or has none. */
  of(accountId: string): ObjectStore | null {
    const store = accountOf(this.#config, accountId)?.store;
    return store === undefined || store === null ? null : (this.#byDir.get(store.dir) ?? null);
  }

  /** Each once. */
  all(): readonly ObjectStore[] {
    return [...this.#byDir.values()];
  }
}
