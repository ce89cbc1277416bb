import type { IncomingMessage } from 'node:http';
import type { AccountConfig } from '../config/Config.js';
import { isFromHere } from '../config/isFromHere.js';
import type { Dialect } from '../providers/Dialect.js';
import { accountsProvenBy, parseBasic } from '../providers/jambonz/credentials.js';
import type { Credentials } from '../providers/jambonz/credentials.js';
import { urlCandidates, verifySignature } from '../providers/twilio/signature.js';
import type { UrlCandidate } from '../providers/twilio/signature.js';

/** Base64 of a SHA-1; anything else in the header isn't worth computing one for each account. */
const signatureShape = /^[A-Za-z0-9+/]{27}=$/;

/**
 * What an upgrade request carried to prove whom it comes from. It is kept as long as its socket has no call, because an account
 * that has to be looked up is known only after the start message.
 */
export class Evidence {
  readonly dialect: Dialect['name'];
  /** Made on this machine and meant for it: enough for accounts without secrets. */
  readonly isLocal: boolean;
  /** The user name of a Basic authorization; null where there is none. */
  readonly username: string | null;
  /** Whether there was a signature or an authorization at all. */
  readonly isThere: boolean;
  readonly #signature: { readonly header: string; readonly candidates: readonly UrlCandidate[] } | null;
  readonly #authorization: string | undefined;

  constructor(request: IncomingMessage, dialect: Dialect['name'], publicUrl: string | null) {
    const { headers } = request;
    const given = headers['x-twilio-signature'];
    const header = Array.isArray(given) ? given[0] : given;
    this.dialect = dialect;
    this.isLocal = isFromHere({ remoteAddress: request.socket.remoteAddress ?? '', headers });
    this.#authorization = headers.authorization;
    this.username = parseBasic(headers.authorization)?.username ?? null;
    this.isThere = dialect === 'twilio' ? header !== undefined : this.username !== null;
    this.#signature =
      header !== undefined && signatureShape.test(header)
        ? { header, candidates: candidatesOf(request, publicUrl) }
        : null;
  }

  /** Whether it could be the secret of some account. */
  get isWellFormed(): boolean {
    return this.dialect === 'twilio' ? this.#signature !== null : this.username !== null;
  }

  /** Ids of the accounts whose secret it shows. */
  provenBySecret(accounts: readonly AccountConfig[]): string[] {
    if (this.dialect === 'jambonz') {
      const pairs = accounts.map(({ id, jambonz }) => ({ accountId: id, credentials: jambonz.credentials }));
      return accountsProvenBy(this.#authorization, pairs);
    }
    const signature = this.#signature;
    if (signature === null) return [];
    return accounts
      .filter(({ twilio }) => verifySignature({ ...signature, tokens: twilio.authTokens }))
      .map(({ id }) => id);
  }

  /** Whether it speaks for an account: by its secret or, where that has none, from this machine. */
  proves(account: AccountConfig): boolean {
    return hasSecret(account, this.dialect) ? this.provenBySecret([account]).length > 0 : this.isLocal;
  }

  /** Whether its Basic authorization is one of these pairs. */
  shows(credentials: readonly Credentials[]): boolean {
    return accountsProvenBy(this.#authorization, [{ accountId: '*', credentials }]).length > 0;
  }
}

/** Without one for a dialect, an account is served to this machine only. */
export function hasSecret(account: AccountConfig, dialect: Dialect['name']): boolean {
  return dialect === 'twilio' ? account.twilio.authTokens.length > 0 : account.jambonz.credentials.length > 0;
}

function candidatesOf(request: IncomingMessage, publicUrl: string | null): readonly UrlCandidate[] {
  return urlCandidates({
    publicUrl,
    hostHeader: request.headers.host,
    path: request.url ?? '/',
    schemes: publicUrl !== null && /^(https|wss):/i.test(publicUrl) ? ['wss'] : ['wss', 'ws'],
  });
}
