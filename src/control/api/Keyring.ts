import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Visibility } from '../../catalogue/Catalogue.js';
import { digestOfKey, keyScopes, type ApiKey, type KeyScope } from '../../config/ApiKey.js';
import { accountOf, type Config } from '../../config/Config.js';

/** What somebody who asked may see and do. */
export interface Scope {
  /** Of the key, for the audit log; `this machine` where there are none. */
  readonly name: string;
  readonly isAdmin: boolean;
  /** Whoever has a link hears one recording, and is told nothing else. */
  readonly isOfLink?: true;
  readonly may: (deed: KeyScope) => boolean;
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

type Sight = Pick<Scope, 'isAdmin' | 'sees' | 'visible'>;

const everything: Sight = { isAdmin: true, sees: () => true, visible: undefined };
const withoutKeys: Scope = { ...everything, name: 'this machine', may: () => true };

interface Lock {
  readonly digest: Buffer;
  readonly scope: Scope;
}

/** The Bearer keys of a configuration. Keys are held as digests and compared in a time that tells nothing about them. */
export class Keyring {
  readonly #salt = randomBytes(32);
  readonly #locks: readonly Lock[];

  constructor(config: Config) {
    const admin = config.control.adminKeys.map((key) => this.#lock(key, everything));
    const listed = config.accounts.map(({ id }) => id).filter((id) => id !== '*');
    const accounts = config.accounts.flatMap((account) => {
      // Also for `*`: it sees what is recorded under it, not what has an entry of its own.
      const sees = (accountId: string) => accountOf(config, accountId) === account;
      const visible = account.id === '*' ? { except: listed } : { only: account.id };
      return account.apiKeys.map((key) => this.#lock(key, { isAdmin: false, sees, visible }));
    });
    this.#locks = [...admin, ...accounts];
  }

  /** No keys at all: only this machine is answered. */
  get isEmpty(): boolean {
    return this.#locks.length === 0;
  }

  /** @returns null for somebody who may see nothing */
  open(caller: Caller): Scope | null {
    if (this.isEmpty) return caller.isFromHere ? withoutKeys : null;
    const key = keyIn(caller.authorization);
    return key === undefined ? null : this.openDigest(digestOfKey(key));
  }

  /** @param sha256 - of a key, hex. @returns null where no key has it */
  openDigest(sha256: string): Scope | null {
    const digest = this.#digest(sha256);
    let found: Scope | null = null;
    // Every lock is tried, so that the time doesn't tell which one opened.
    for (const lock of this.#locks) if (timingSafeEqual(lock.digest, digest)) found ??= lock.scope;
    return found;
  }

  #lock({ sha256, name, scopes }: ApiKey, sight: Sight): Lock {
    const may = (deed: KeyScope): boolean => scopes.includes(deed);
    return { digest: this.#digest(sha256), scope: { ...sight, name, may } };
  }

  #digest(sha256: string): Buffer {
    return createHmac('sha256', this.#salt).update(sha256).digest();
  }
}

/** The key of an `Authorization` header (RFC 6750, section 2.1); undefined where it has none. */
export function keyIn(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+)\s*$/i.exec(authorization ?? '')?.[1];
}

/** What a scope lacks, in words. */
export function scopesOf(scope: Scope): readonly KeyScope[] {
  return keyScopes.filter((deed) => scope.may(deed));
}
