import { type AccountConfig, accountOf, type Config, type StoreConfig } from '../config/Config.js';
import { ReelayError } from '../config/ReelayError.js';
import { type Clock, clockOf } from './Clock.js';
import type { ObjectStore } from './ObjectStore.js';
import { openStore } from './openStore.js';

export interface StoresOptions {
  /**
   * The account of an id; undefined where nobody knows it. Default: that of the configuration.
   *
   * @throws ReelayError `accounts_unavailable`
   */
  readonly find?: (accountId: string) => Promise<AccountConfig | undefined>;
  /** Of the stores' deadlines. */
  readonly clock?: Clock;
}

/** Stores of accounts that the configuration doesn't list which are kept open, the last used ones. */
const mostLookedUp = 256;

/**
 * The stores of all accounts: one object per place and credentials, however many accounts share it, and the same one after a
 * reload that didn't change it.
 */
export class Stores {
  readonly #find: (accountId: string) => Promise<AccountConfig | undefined>;
  readonly #clock: Clock;
  #config: Config;
  #configured: Map<string, ObjectStore>;
  readonly #lookedUp = new Map<string, ObjectStore>();

  constructor(config: Config, { find, clock = clockOf() }: StoresOptions = {}) {
    this.#find = find ?? ((accountId) => Promise.resolve(accountOf(this.#config, accountId)));
    this.#clock = clock;
    this.#config = config;
    this.#configured = this.#openAll(config, new Map());
  }

  /**
   * The store of the account that a recording names, as it is configured now; null where the account has none.
   *
   * @throws ReelayError `unknown_account` where nobody knows the account; `accounts_unavailable` where that can't be found out
   */
  async of(accountId: string): Promise<ObjectStore | null> {
    const account = await this.#find(accountId);
    if (account === undefined) {
      const remedy = 'Configure the account, or correct what the call says.';
      throw new ReelayError('unknown_account', { value: accountId, remedy });
    }
    return account.store === null ? null : this.#storeOf(account.store);
  }

  /** Those of the configuration, each once. */
  all(): readonly ObjectStore[] {
    return [...this.#configured.values()];
  }

  /** Takes up a changed configuration. What isn't in it is closed; who still uses such a store may go on. */
  reload(config: Config): void {
    this.#config = config;
    const before = new Map([...this.#lookedUp, ...this.#configured]);
    this.#configured = this.#openAll(config, before);
    this.#lookedUp.clear();
    for (const [key, store] of before) if (this.#configured.get(key) !== store) store.close();
  }

  close(): void {
    for (const store of [...this.#configured.values(), ...this.#lookedUp.values()]) store.close();
  }

  #openAll({ accounts }: Config, before: ReadonlyMap<string, ObjectStore>): Map<string, ObjectStore> {
    const opened = new Map<string, ObjectStore>();
    for (const { store } of accounts) {
      if (store === null) continue;
      const key = keyOf(store);
      opened.set(key, opened.get(key) ?? before.get(key) ?? openStore(store, this.#clock));
    }
    return opened;
  }

  #storeOf(config: StoreConfig): ObjectStore {
    const key = keyOf(config);
    const configured = this.#configured.get(key);
    if (configured !== undefined) return configured;
    const store = this.#lookedUp.get(key) ?? openStore(config, this.#clock);
    // The last used one is the last of the map.
    this.#lookedUp.delete(key);
    this.#lookedUp.set(key, store);
    const [oldest] = this.#lookedUp;
    if (this.#lookedUp.size > mostLookedUp && oldest !== undefined) {
      this.#lookedUp.delete(oldest[0]);
      oldest[1].close();
    }
    return store;
  }
}

/** Two configurations with one key mean the same, in whatever order they were written. */
function keyOf(config: StoreConfig): string {
  return JSON.stringify(config, (_name, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}
