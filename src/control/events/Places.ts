import type { Busy, Delivery, DeliveryKey } from '../../catalogue/Delivery.js';

/** Deliveries that are tried at once, of them for one account and to one endpoint. */
const most = 64;
const mostForOneAccount = 8;
const mostAtOneEndpoint = 4;
/** An endpoint that didn't take the last one has one place until it takes one, so that those which hang leave room for the others. */
const mostAtFailing = 1;
/** Endpoints that are known to fail. */
const mostKnown = 10_000;

/** What a place is taken by. */
type Addressee = Pick<Delivery, 'eventId' | 'endpoint' | 'accountId'>;

/** The places for deliveries that are under way, of which nobody has so many that others have none. */
export class Places {
  readonly #taken = new Map<string, Addressee>();
  readonly #failing = new Set<string>();

  /** How many are taken. */
  get size(): number {
    return this.#taken.size;
  }

  /** Who has all the places that it may have. */
  get busy(): Busy {
    const all = [...this.#taken.values()];
    const endpoints = all.map(({ endpoint }) => endpoint);
    const accounts = all.map(({ accountId }) => accountId);
    return {
      endpoints: thoseWith(endpoints, (each) =>
        this.#failing.has(each) ? mostAtFailing : mostAtOneEndpoint,
      ),
      accounts: thoseWith(accounts, () => mostForOneAccount),
    };
  }

  /** @returns whether there was a place for it, and it wasn't under way already */
  take(delivery: Addressee): boolean {
    const { endpoints, accounts } = this.busy;
    if (this.#taken.size >= most || this.#taken.has(nameOf(delivery))) return false;
    if (endpoints.includes(delivery.endpoint) || accounts.includes(delivery.accountId)) return false;
    this.#taken.set(nameOf(delivery), delivery);
    return true;
  }

  leave(delivery: DeliveryKey): void {
    this.#taken.delete(nameOf(delivery));
  }

  /** An endpoint has taken what it was sent, or hasn't. */
  answered(endpoint: string, hasTaken: boolean): void {
    this.#failing.delete(endpoint);
    if (!hasTaken) this.#failing.add(endpoint);
    const [oldest] = this.#failing;
    if (this.#failing.size > mostKnown && oldest !== undefined) this.#failing.delete(oldest);
  }
}

function nameOf({ eventId, endpoint }: DeliveryKey): string {
  return `${eventId} ${endpoint}`;
}

/** The names that are there as often as they may be. */
function thoseWith(names: readonly string[], mostOf: (name: string) => number): string[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].filter(([name, count]) => count >= mostOf(name)).map(([name]) => name);
}
