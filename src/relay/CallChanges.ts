import type { Call, CallView } from './Call.js';

/** What has become of some calls. */
export interface CallsNotice {
  /** What was told before is void: the whole list follows, beginning with this. */
  readonly isWhole: boolean;
  /** In the order in which the calls began. Null: the call is over. */
  readonly changes: readonly { readonly id: number; readonly call: CallView | null }[];
}

/** Between two notices, ms. */
const pauseMs = 250;
/** Calls in one notice: as many as take a tenth of a millisecond to copy for another thread. */
const mostInOne = 50;

/**
 * Tells somebody else, in another thread, which calls are up: at first the whole list, then only what has changed, and never so much
 * of it at once that the calls themselves would wait.
 */
export class CallChanges {
  readonly #tell: (notice: CallsNotice) => void;
  readonly #ids = new Map<Call, number>();
  readonly #changed = new Set<Call>();
  #count = 0;
  #isWhole = false;
  #timer: NodeJS.Timeout | undefined;
  #next: NodeJS.Immediate | undefined;

  constructor(tell: (notice: CallsNotice) => void) {
    this.#tell = tell;
  }

  /** A call has begun, changed or ended. */
  note(call: Call): void {
    if (!this.#ids.has(call)) {
      if (call.isOver) return;
      this.#ids.set(call, ++this.#count);
    }
    this.#changed.add(call);
    this.#timer ??= setTimeout(() => this.#flush(), pauseMs);
  }

  /** Somebody is about to be told that something was done, and may look for it at once. */
  hurry(): void {
    if (this.#timer === undefined || this.#next !== undefined) return;
    clearTimeout(this.#timer);
    this.#flush();
  }

  /** Whoever is told has forgotten everything. */
  tellAll(): void {
    this.#isWhole = true;
    this.#changed.clear();
    for (const [call] of this.#ids) this.#changed.add(call);
    clearTimeout(this.#timer);
    this.#flush();
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#next);
  }

  #flush(): void {
    const changes = [];
    for (const call of this.#changed) {
      if (changes.length === mostInOne) break;
      changes.push(this.#change(call));
    }
    const isWhole = this.#isWhole;
    this.#isWhole = false;
    this.#tell({ isWhole, changes });
    clearImmediate(this.#next);
    this.#next = undefined;
    if (this.#changed.size > 0) this.#next = setImmediate(() => this.#flush());
    else this.#timer = undefined;
  }

  #change(call: Call): CallsNotice['changes'][number] {
    const id = this.#ids.get(call) ?? 0;
    this.#changed.delete(call);
    if (call.isOver) this.#ids.delete(call);
    return { id, call: call.isOver ? null : call.view() };
  }
}
