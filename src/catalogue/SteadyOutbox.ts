import type { Busy, Delivery, DeliveryKey, DeliveryResult, Outbox } from './Delivery.js';

/** Runs work while the catalogue is up, one thing that writes after the other. @throws ReelayError `catalogue_unavailable` */
export interface CatalogueGate {
  readonly write: <T>(work: () => Promise<T>) => Promise<T>;
  readonly read: <T>(work: () => Promise<T>) => Promise<T>;
}

/** The outbox of a catalogue that may be away. */
export class SteadyOutbox implements Outbox {
  readonly #inner: () => Outbox;
  readonly #gate: CatalogueGate;

  constructor(inner: () => Outbox, gate: CatalogueGate) {
    this.#inner = inner;
    this.#gate = gate;
  }

  async post(deliveries: readonly Delivery[]): Promise<void> {
    await this.#gate.write(() => this.#inner().post(deliveries));
  }

  async due(nowMs: number, most: number, busy?: Busy): Promise<readonly Delivery[]> {
    return await this.#gate.read(() => this.#inner().due(nowMs, most, busy));
  }

  async nextDueMs(busy?: Busy): Promise<number | null> {
    return await this.#gate.read(() => this.#inner().nextDueMs(busy));
  }

  async claim(delivery: Delivery, untilMs: number): Promise<boolean> {
    return await this.#gate.write(() => this.#inner().claim(delivery, untilMs));
  }

  async settle(key: DeliveryKey, result: DeliveryResult): Promise<boolean> {
    return await this.#gate.write(() => this.#inner().settle(key, result));
  }

  async markKept(key: DeliveryKey, isKept: boolean): Promise<void> {
    await this.#gate.write(() => this.#inner().markKept(key, isKept));
  }

  async deliveriesOf(recordingId: string, accountId?: string): Promise<readonly Delivery[]> {
    return await this.#gate.read(() => this.#inner().deliveriesOf(recordingId, accountId));
  }

  async forgetBefore(ms: number): Promise<void> {
    await this.#gate.write(() => this.#inner().forgetBefore(ms));
  }
}
