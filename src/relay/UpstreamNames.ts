import { Resolver, lookup as systemLookup } from 'node:dns';
import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long addresses are used without asking again, ms. */
const freshMs = 5000;
/** How long a dial waits for an answer before it takes what it can get elsewhere, ms. */
const patienceMs = 200;
/** How long it waits at all, ms. */
const longestMs = 10_000;
const mostNames = 1000;

/** Asks for all addresses of a host name, in the order in which they are to be tried. */
export type AskForAddresses = (name: string) => Promise<readonly LookupAddress[]>;

/** RFC 6761 section 6.3: nobody needs to be asked. */
const loopback = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
] as const;

interface Known {
  readonly addresses: readonly LookupAddress[];
  readonly untilMs: number;
}

/**
 * The addresses of bots. The system's own look-up runs in libuv's pool of threads, which a disk or store that hangs can fill; a call
 * must not wait for that. So an answer is used again for some seconds, and when the system takes its time an older answer is
 * taken, or, where there is none, the name servers are asked directly, for which no thread is needed.
 */
export class UpstreamNames {
  readonly #ask: AskForAddresses;
  readonly #askDirectly: AskForAddresses;
  readonly #known = new Map<string, Known>();
  readonly #asked = new Map<string, Promise<readonly LookupAddress[]>>();

  constructor(ask: AskForAddresses = askSystem, askDirectly: AskForAddresses = directly()) {
    this.#ask = ask;
    this.#askDirectly = askDirectly;
  }

  /** For the option `lookup` of `net.connect`, which asks for host names only and never for what is an address already. */
  readonly lookup: LookupFunction = (name, options, callback) => {
    const family = options.family === 4 || options.family === 'IPv4' ? 4 : 6;
    const isOne = options.family === undefined || options.family === 0;
    this.#addresses(name).then(
      (addresses) => {
        const usable = isOne ? addresses : addresses.filter((each) => each.family === family);
        const [first] = usable;
        if (first === undefined) callback(notFound(name), '');
        else if (options.all === true) callback(null, [...usable]);
        else callback(null, first.address, first.family);
      },
      (error: unknown) => callback(error as NodeJS.ErrnoException, ''),
    );
  };

  async #addresses(name: string): Promise<readonly LookupAddress[]> {
    if (/^(.+\.)?localhost\.?$/i.test(name)) return loopback;
    const known = this.#known.get(name);
    if (known !== undefined && performance.now() < known.untilMs) return known.addresses;
    const answer = this.#question(name);
    const inTime = await Promise.race([answer.catch(nothing), sleep(patienceMs, null)]);
    if (inTime !== null && inTime.length > 0) return inTime;
    if (known !== undefined) return known.addresses;
    const elsewhere = this.#askDirectly(name).then((addresses) => this.#keep(name, addresses));
    return await Promise.race([
      firstOf(answer, elsewhere),
      sleep(longestMs, null, { ref: false }).then(() => fail(name)),
    ]);
  }

  /** One question for each name at a time: whoever asks again while the pool hangs would only fill it further. */
  #question(name: string): Promise<readonly LookupAddress[]> {
    const asked = this.#asked.get(name);
    if (asked !== undefined) return asked;
    const question = this.#ask(name)
      .then((addresses) => this.#keep(name, addresses))
      .finally(() => this.#asked.delete(name));
    question.catch(nothing);
    this.#asked.set(name, question);
    return question;
  }

  #keep(name: string, addresses: readonly LookupAddress[]): readonly LookupAddress[] {
    if (addresses.length === 0) return addresses;
    this.#known.delete(name);
    const [oldest] = this.#known.keys();
    if (this.#known.size >= mostNames && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(name, { addresses, untilMs: performance.now() + freshMs });
    return addresses;
  }
}

function askSystem(name: string): Promise<readonly LookupAddress[]> {
  return new Promise((resolve, reject) => {
    systemLookup(name, { all: true }, (error, addresses) => {
      if (error === null) resolve(addresses);
      else reject(error);
    });
  });
}

/** Over sockets of the event loop's own; it knows name servers and no hosts file. */
function directly(): AskForAddresses {
  const resolver = new Resolver({ timeout: 1000, tries: 2 });
  const of = (name: string, family: 4 | 6): Promise<LookupAddress[]> =>
    new Promise((resolve) => {
      const answered = (error: Error | null, addresses: string[]): void =>
        resolve(error === null ? addresses.map((address) => ({ address, family })) : []);
      if (family === 4) resolver.resolve4(name, answered);
      else resolver.resolve6(name, answered);
    });
  return async (name) => {
    const both = await Promise.all([of(name, 4), of(name, 6)]);
    const addresses = both.flat();
    return addresses.length > 0 ? addresses : fail(name);
  };
}

/** The first that has an answer; the failure of the first when neither has. */
function firstOf<T>(one: Promise<T>, other: Promise<T>): Promise<T> {
  return Promise.any([one, other]).catch(() => one);
}

function nothing(): null {
  return null;
}

function fail(name: string): never {
  throw notFound(name);
}

function notFound(name: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`no address was found for ${name}`), { code: 'ENOTFOUND' });
}
