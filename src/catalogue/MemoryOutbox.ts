import type { Busy, Delivery, DeliveryKey, DeliveryResult, Outbox } from './Delivery.js';

/** The deliveries of one daemon, in memory. */
export class MemoryOutbox implements Outbox {
  readonly #deliveries = new Map<string, Delivery>();

  post(deliveries: readonly Delivery[]): Promise<void> {
    for (const each of deliveries)
      if (!this.#deliveries.has(nameOf(each))) this.#deliveries.set(nameOf(each), each);
    return Promise.resolve();
  }

  due(nowMs: number, most: number, busy?: Busy): Promise<readonly Delivery[]> {
    const due = this.#heads(busy).filter(({ dueMs }) => dueMs <= nowMs);
    return Promise.resolve(due.sort((a, b) => a.dueMs - b.dueMs).slice(0, most));
  }

  nextDueMs(busy?: Busy): Promise<number | null> {
    const next = this.#heads(busy).reduce((least, { dueMs }) => Math.min(least, dueMs), Infinity);
    return Promise.resolve(next === Infinity ? null : next);
  }

  claim(delivery: Delivery, untilMs: number): Promise<boolean> {
    const now = this.#deliveries.get(nameOf(delivery));
    const isMine = now?.state === 'waiting' && now.dueMs === delivery.dueMs;
    if (isMine) this.#deliveries.set(nameOf(now), { ...now, dueMs: untilMs });
    return Promise.resolve(isMine);
  }

  settle(key: DeliveryKey, result: DeliveryResult): Promise<boolean> {
    const now = this.#deliveries.get(nameOf(key));
    if (now !== undefined) this.#deliveries.set(nameOf(now), { ...now, ...result });
    return Promise.resolve(now?.isKept ?? false);
  }

  markKept(key: DeliveryKey, isKept: boolean): Promise<void> {
    const now = this.#deliveries.get(nameOf(key));
    if (now !== undefined) this.#deliveries.set(nameOf(now), { ...now, isKept });
    return Promise.resolve();
  }

  deliveriesOf(recordingId: string, accountId?: string): Promise<readonly Delivery[]> {
    const mine = [...this.#deliveries.values()].filter(
      (each) => each.recordingId === recordingId && each.accountId === (accountId ?? each.accountId),
    );
    return Promise.resolve(
      mine.sort((a, b) => a.sequence - b.sequence || (a.endpoint < b.endpoint ? -1 : 1)),
    );
  }

  forgetBefore(ms: number): Promise<void> {
    for (const [name, { state, dueMs }] of this.#deliveries)
      if (state !== 'waiting' && dueMs < ms) this.#deliveries.delete(name);
    return Promise.resolve();
  }

  /** The first that waits of each account's recording and endpoint. */
  #heads({ endpoints, accounts }: Busy = { endpoints: [], accounts: [] }): Delivery[] {
    const heads = new Map<string, Delivery>();
    for (const each of this.#deliveries.values()) {
      if (each.state !== 'waiting') continue;
      if (endpoints.includes(each.endpoint) || accounts.includes(each.accountId)) continue;
      const line = `${each.endpoint}\n${each.accountId}\n${each.recordingId}`;
      const head = heads.get(line);
      if (head === undefined || each.sequence < head.sequence) heads.set(line, each);
    }
    return [...heads.values()];
  }
}

function nameOf({ eventId, endpoint }: DeliveryKey): string {
  return `${eventId}\n${endpoint}`;
}
