import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Visibility } from '../catalogue/Catalogue.js';
import { accountOf, type Config } from '../config/Config.js';

/** What somebody who asked may see. */
export interface Scope {
  readonly isAdmin: boolean;
  /** Whether recordings and calls of this account may be seen. */
  readonly sees: (accountId: string) => boolean;
  /** The same as the catalogue has it; undefined: everything. */
  readonly visible: Visibility | undefined;
}

/** Who asks, as far as the request tells. */
export interface Caller {
  readonly authorization: string | undefined;
  /** Whether the request was made on this machine and meant for it. */
  readonly isFromHere: boolean;
}

const everything: Scope = { isAdmin: true, sees: () => true, visible: undefined };

interface Lock {
  readonly digest: Buffer;
  readonly scope: Scope;
}

/** The Bearer keys of a configuration. Keys are held as digests and compared in a time that tells nothing about them. */
export class Keyring {
  readonly #salt = randomBytes(32);
  readonly #locks: readonly Lock[];

  constructor(config: Config) {
    const admin = config.control.adminKeys.map((key) => ({ digest: this.#digest(key), scope: everything }));
    const listed = config.accounts.map(({ id }) => id).filter((id) => id !== '*');
    const accounts = config.accounts.flatMap((account) => {
      // Also for `*`: it sees what is recorded under it, not what has an entry of its own.
      const sees = (accountId: string) => accountOf(config, accountId) === account;
      const visible = account.id === '*' ? { except: listed } : { only: account.id };
      const scope = { isAdmin: false, sees, visible };
      return account.apiKeys.map((key) => ({ digest: this.#digest(key), scope }));
    });
    this.#locks = [...admin, ...accounts];
  }

  /** No keys at all: only this machine is answered. */
  get isEmpty(): boolean {
    return this.#locks.length === 0;
  }

  /** @returns null for somebody who may see nothing */
  open(caller: Caller): Scope | null {
    if (this.isEmpty) return caller.isFromHere ? everything : null;
    const key = /^Bearer +(\S+)\s*$/i.exec(caller.authorization ?? '')?.[1];
    if (key === undefined) return null;
    const digest = this.#digest(key);
    let found: Scope | null = null;
    // Every lock is tried, so that the time doesn't tell which one opened.
    for (const lock of this.#locks) if (timingSafeEqual(lock.digest, digest)) found ??= lock.scope;
    return found;
  }

  #digest(key: string): Buffer {
    return createHmac('sha256', this.#salt).update(key).digest();
  }
}
