import type { Fault } from './Fault.js';
import type { Scene } from './Scene.js';
import type { StoreOrder } from './StoreHouse.js';

const ways: Readonly<Record<'hangs' | 'refuses' | 'trickles', StoreOrder>> = {
  hangs: { type: 'stall' },
  refuses: { type: 'answer', status: 503, code: 'SlowDown' },
  trickles: { type: 'trickle', ms: 8000 },
};

/** The store doesn't answer, refuses everything, or takes its time for every byte. */
export class StoreTrouble implements Fault {
  readonly name: string;
  readonly setting = 'store';
  readonly #order: StoreOrder;
  #met = 0;
  #seen = 0;

  constructor(way: keyof typeof ways) {
    this.name = `store-${way}`;
    this.#order = ways[way];
  }

  async begin({ store }: Scene): Promise<void> {
    this.#met -= (await store?.spoil(this.#order))?.met ?? 0;
  }

  async end({ store }: Scene): Promise<void> {
    const counts = await store?.spoil({ type: 'none' });
    this.#met += counts?.met ?? 0;
    this.#seen = counts?.seen ?? 0;
  }

  evidence(): Promise<string> {
    if (this.#met === 0) throw new Error(`none of ${this.#seen} requests to the store met the fault`);
    return Promise.resolve(`${this.#met} requests met it`);
  }
}
