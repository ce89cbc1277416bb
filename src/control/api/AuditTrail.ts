import type { FastifyRequest } from 'fastify';
import type { Scope } from './Keyring.js';

/** What a request was about. */
export interface AuditSubject {
  readonly accountId: string;
  /** '' of a list, and of a recording that wasn't begun. */
  readonly recordingId: string;
}

/** Who asked, and about what. */
export interface Asked {
  readonly scope: Scope;
  /** Empty where nothing was found that whoever asked may see: anybody can guess ids, and their accounts aren't told. */
  readonly subjects: readonly AuditSubject[];
}

/** Lists that were read lately; of more the oldest may be noted again. */
const mostReaders = 10_000;
/** One who looks at lists again and again is noted so often, ms. */
const readerMs = 60_000;

/**
 * What is found out about requests while they are answered, for the audit log: when an answer is over it is too late to ask, since the
 * catalogue may be away by then, or the recording gone.
 */
export class AuditTrail {
  readonly #scopes = new WeakMap<FastifyRequest, Scope>();
  readonly #subjects = new WeakMap<Scope, readonly AuditSubject[]>();
  /** When who had last been shown a list of which account, ms. */
  readonly #readers = new Map<string, number>();
  readonly #nowMs: () => number;

  /** @param nowMs - since some moment */
  constructor(nowMs = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** @returns the scope, for this request alone: by it the others know which one they are told of */
  begin(request: FastifyRequest, scope: Scope): Scope {
    const own = { ...scope };
    this.#scopes.set(request, own);
    return own;
  }

  /** It is about this recording, which may be seen. */
  found(scope: Scope, subject: AuditSubject): void {
    this.#subjects.set(scope, [subject]);
  }

  /**
   * Entries of these accounts are shown, with the numbers of both parties.
   *
   * @param list - its route: pages ask for it every second, so a key, or a link, is noted once a minute for each account and list
   */
  showed(scope: Scope, list: string, accountIds: Iterable<string>): void {
    const nowMs = this.#nowMs();
    const subjects: AuditSubject[] = [];
    for (const accountId of new Set(accountIds)) {
      const reader = JSON.stringify([scope.name, scope.isAdmin, list, accountId]);
      if (nowMs - (this.#readers.get(reader) ?? -Infinity) < readerMs) continue;
      this.#remember(reader, nowMs);
      subjects.push({ accountId, recordingId: '' });
    }
    this.#subjects.set(scope, subjects);
  }

  /** Undefined where nobody was known who asked. */
  of(request: FastifyRequest): Asked | undefined {
    const scope = this.#scopes.get(request);
    return scope && { scope, subjects: this.#subjects.get(scope) ?? [] };
  }

  #remember(reader: string, nowMs: number): void {
    this.#readers.delete(reader);
    this.#readers.set(reader, nowMs);
    const [oldest] = this.#readers.keys();
    if (this.#readers.size > mostReaders && oldest !== undefined) this.#readers.delete(oldest);
  }
}
