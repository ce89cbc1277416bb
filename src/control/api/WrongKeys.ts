import { digestOfKey } from '../../config/ApiKey.js';

/** Different wrong keys that an address may send within a window before it is told to wait. */
const mostWrong = 20;
const windowMs = 60_000;
/** Addresses that are remembered; beyond that the oldest are forgotten. */
const mostAddresses = 10_000;

/**
 * Counts wrong keys by the address that they came from, so that nobody tries them by the million. One that is sent again and again counts
 * once: whoever polls with a key that was withdrawn shall not shut out all who come through the same proxy.
 */
export class WrongKeys {
  readonly #byAddress = new Map<string, { readonly keys: Set<string>; readonly sinceMs: number }>();

  /** Whether this address has to wait, whatever key it sends. A key that is right isn't looked at then, or guessing would go on. */
  isBarred(address: string, nowMs = performance.now()): boolean {
    const wrong = this.#byAddress.get(networkOf(address));
    return wrong !== undefined && wrong.keys.size >= mostWrong && nowMs - wrong.sinceMs < windowMs;
  }

  /** A wrong key came from there. */
  note(address: string, key: string, nowMs = performance.now()): void {
    const network = networkOf(address);
    const known = this.#byAddress.get(network);
    if (known !== undefined && nowMs - known.sinceMs < windowMs) {
      if (known.keys.size < mostWrong) known.keys.add(digestOfKey(key));
      return;
    }
    this.#byAddress.delete(network);
    this.#byAddress.set(network, { keys: new Set([digestOfKey(key)]), sinceMs: nowMs });
    const [oldest] = this.#byAddress.keys();
    if (this.#byAddress.size > mostAddresses && oldest !== undefined) this.#byAddress.delete(oldest);
  }
}

/** An IPv6 host has 2^64 addresses and may use them all, so its network is what counts; of IPv4 it is the address. */
function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined || !address.includes(':')) return mapped ?? address;
  const [head = '', tail = ''] = address.split('%')[0]?.split('::') ?? [];
  const front = head === '' ? [] : head.split(':');
  const back = tail === '' ? [] : tail.split(':');
  const gap = address.includes('::')
    ? Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0')
    : [];
  return [...front, ...gap, ...back]
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}
