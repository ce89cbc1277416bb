import { Histogram, histogramCells } from './Histogram.js';

const names = [
  'calls',
  'callsTotal',
  'streams',
  'pendingStreams',
  'framesFromProvider',
  'framesFromUpstream',
  'bytesFromProvider',
  'bytesFromUpstream',
  'invalidMessages',
  'refusedUpgrades',
  'refusedStreams',
  'upstreamLost',
  'upstreamReconnects',
  'framesDroppedToUpstream',
  'upstreamPauses',
  'tapRecords',
  'tapDroppedRecords',
  'tapRingBytes',
  'tapRingCapacityBytes',
  'recorderRestarts',
  'controlRestarts',
  'unprovenStreams',
  'strangers',
  'drainedStreams',
  'accountQuestions',
  'accountQuestionsUnanswered',
  'stalledProviders',
  'stalledUpstreams',
  'mediaHeapBytes',
  'recorderHeapBytes',
  'controlHeapBytes',
  /** 0: calls are taken and recorded. 1: new ones are relayed and not recorded. 2: new ones are refused. */
  'overloadLevel',
  /** Index into {@link overloadSignals}: the one that is beyond its limit, while the level isn't 0. */
  'overloadSignal',
  'overloadValue',
  'overloadLimit',
  'mediaLinesDropped',
  'recorderLinesDropped',
  'bridgeProcesses',
  'bridgedCalls',
  'bridgeRestarts',
  'bridgeFailures',
  'bridgeRssBytes',
  'bridgeDroppedToRoomMs',
  'bridgeDroppedToPhoneMs',
  'bridgeClears',
  'roomsThreadRestarts',
  /** Rooms that are being recorded, and their lanes. */
  'rooms',
  'roomLanes',
  /** Processes that join rooms: those that there are, and how many were lost. */
  'roomProcesses',
  'roomProcessesLost',
  'roomRingBytes',
  'roomRingCapacityBytes',
  'roomDroppedRecords',
] as const;
export type CounterName = (typeof names)[number];

/**
 * What the native thread that moves frames counts by itself, in the order in which it knows them; the rest of each is the media
 * thread's.
 */
export const frameCounterNames = [
  'framesFromProvider',
  'framesFromUpstream',
  'bytesFromProvider',
  'bytesFromUpstream',
  'framesDroppedToUpstream',
  'upstreamPauses',
  'tapRecords',
  'tapDroppedRecords',
  'tapRingBytes',
  'tapRingCapacityBytes',
] as const satisfies readonly CounterName[];

/** What overload is told by: of the loops that frames pass through ms, of a ring the share that is full, of memory bytes. */
export const overloadSignals = ['loop_delay', 'ring', 'memory'] as const;
export type OverloadSignal = (typeof overloadSignals)[number];

export const directions = ['to_bot', 'to_provider'] as const;
export type Direction = (typeof directions)[number];

export const threadNames = ['media', 'recorder', 'control'] as const;
export type ThreadName = (typeof threadNames)[number];

/** Loops that something may have to wait for: those of the threads, and the native one's that moves frames. */
export const loopNames = [...threadNames, 'frames'] as const;
export type LoopName = (typeof loopNames)[number];

/** Kinds of garbage collection, as Node's `perf_hooks` tells them apart. */
export const gcKinds = ['minor', 'major', 'incremental', 'weakcb'] as const;
export type GcKind = (typeof gcKinds)[number];

/** Why upgrades are refused: codes of the catalogue, and connections beyond what the server takes at all. */
export const refusalReasons = [
  'path_unknown',
  'signature_missing',
  'signature_invalid',
  'credentials_invalid',
  'account_unknown',
  'account_loopback_only',
  'accounts_unavailable',
  'too_many_streams',
  'overloaded',
  'draining',
  'connections',
  'other',
] as const;
export type RefusalReason = (typeof refusalReasons)[number];

const frameIndexOf = new Map<CounterName, number>(frameCounterNames.map((name, index) => [name, index]));
const indexOf = Object.fromEntries(names.map((name, index) => [name, index])) as Record<CounterName, number>;
const refusalStart = names.length;
const frameStart = refusalStart + refusalReasons.length;
const histogramStart = frameStart + frameCounterNames.length;
const histograms = 2 * directions.length + loopNames.length + threadNames.length * gcKinds.length;
const cells = histogramStart + histograms * histogramCells;

/**
 * What each thread counts and measures of itself, in memory that the control thread reads at a scrape. Each cell has one writer,
 * and plain stores: a counter costs one addition, a reader may see a value that is a moment old.
 */
export class Counters {
  readonly buffer: SharedArrayBuffer;
  /** A frame's time from its being read (by JavaScript, or the native thread) to its being handed to the other socket. */
  readonly latency: Readonly<Record<Direction, Histogram>>;
  /** How late a thread's event loop comes to what arrives; of `frames`, how late what has arrived is sent on. */
  readonly loopDelay: Readonly<Record<LoopName, Histogram>>;
  /** How long garbage collection stops a thread. */
  readonly gcPause: Readonly<Record<ThreadName, Readonly<Record<GcKind, Histogram>>>>;
  /** Cells that the native thread writes: its counters, and what it observes. */
  readonly frames: {
    readonly counters: Float64Array;
    readonly latency: Readonly<Record<Direction, Float64Array>>;
    readonly delay: Float64Array;
  };
  readonly #values: Float64Array;

  constructor(buffer = new SharedArrayBuffer(cells * 8)) {
    this.buffer = buffer;
    this.#values = new Float64Array(buffer);
    let start = histogramStart;
    const next = (): Float64Array => {
      start += histogramCells;
      return this.#values.subarray(start - histogramCells, start);
    };
    const latency = each(directions, next);
    const delay = next();
    this.frames = { counters: this.#values.subarray(frameStart, histogramStart), latency, delay };
    this.latency = each(directions, (direction) => new Histogram(next(), [latency[direction]]));
    const loops = each(threadNames, () => new Histogram(next()));
    this.loopDelay = { ...loops, frames: new Histogram(delay) };
    this.gcPause = each(threadNames, () => each(gcKinds, () => new Histogram(next())));
  }

  add(name: CounterName, amount = 1): void {
    const index = indexOf[name];
    this.#values[index] = (this.#values[index] ?? 0) + amount;
  }

  set(name: CounterName, value: number): void {
    this.#values[indexOf[name]] = value;
  }

  get(name: CounterName): number {
    const ofFrames = frameIndexOf.get(name);
    const elsewhere = ofFrames === undefined ? 0 : (this.frames.counters[ofFrames] ?? 0);
    return (this.#values[indexOf[name]] ?? 0) + elsewhere;
  }

  /** How full the fullest ring is, from 0 to 1. */
  get ringShare(): number {
    const { counters } = this.frames;
    const share = (bytes = 0, capacity = 0): number => (capacity === 0 ? 0 : bytes / capacity);
    const [used, capacity] = [indexOf.tapRingBytes, indexOf.tapRingCapacityBytes];
    return Math.max(
      share(this.#values[used], this.#values[capacity]),
      share(this.#values[indexOf.roomRingBytes], this.#values[indexOf.roomRingCapacityBytes]),
      share(
        counters[frameIndexOf.get('tapRingBytes') ?? -1],
        counters[frameIndexOf.get('tapRingCapacityBytes') ?? -1],
      ),
    );
  }

  /** @param reason - one that isn't of {@link refusalReasons} is counted as `other` */
  addRefusal(reason: string): void {
    const known = (refusalReasons as readonly string[]).indexOf(reason);
    const index = refusalStart + (known < 0 ? refusalReasons.indexOf('other') : known);
    this.#values[index] = (this.#values[index] ?? 0) + 1;
    this.add('refusedUpgrades');
  }

  refusals(reason: RefusalReason): number {
    return this.#values[refusalStart + refusalReasons.indexOf(reason)] ?? 0;
  }
}

function each<Key extends string, Value>(
  keys: readonly Key[],
  make: (key: Key) => Value,
): Record<Key, Value> {
  return Object.fromEntries(keys.map((key) => [key, make(key)])) as Record<Key, Value>;
}
