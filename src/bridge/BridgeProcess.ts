import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { withoutSecrets } from '../config/withoutSecrets.js';
import type { BridgedCallFacts } from './BridgedCallFacts.js';
import { nothingYet, type BridgeTotals, type FromBridge, type ToBridge } from './BridgeMessage.js';

/** How long it may say nothing: while it loads the SDK, and then. */
const silentForMs = { starting: 30_000, ready: 10_000 } as const;
/** Calls after which it gets no more, and memory: the SDK keeps something of every room it was in. */
const mostCalls = 1000;
const mostRssBytes = 768 * 1024 * 1024;
/** Heap of its own JavaScript, MiB; most of its memory is the SDK's. */
const heapMiB = 256;
/** Lines of its output that are passed on. */
const mostOutput = 200;

export interface BridgeProcessEvents {
  ready(): void;
  /** It can't work, and ends. */
  failed(reason: 'missing' | 'other', message: string): void;
  over(ticket: string): void;
  log(message: Extract<FromBridge, { type: 'log' }>): void;
  /** A line that it, or the native library, wrote by itself. */
  output(line: string): void;
  /** @param how - exit code or signal */
  ended(how: string): void;
}

/** One bridge process, as the daemon sees it. */
export class BridgeProcess {
  readonly #child: ChildProcess;
  readonly #events: BridgeProcessEvents;
  readonly #tickets = new Set<string>();
  #port: number | null = null;
  #heardMs: number;
  #totals: BridgeTotals = nothingYet;
  #taken = 0;
  #isRetiring = false;
  #isOver = false;
  #lines = 0;

  /** @param module - what it runs; tests have another */
  constructor(events: BridgeProcessEvents, module: URL, nowMs: number) {
    this.#events = events;
    this.#heardMs = nowMs;
    this.#child = fork(fileURLToPath(module), [], {
      execArgv: [`--max-old-space-size=${heapMiB}`],
      // In production the SDK says less.
      env: { ...withoutSecrets(process.env), NODE_ENV: 'production' },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#child.on('message', (message: FromBridge) => this.#receive(message));
    this.#child.on('error', (error) => this.#end(error.message));
    this.#child.on('exit', (code, signal) => this.#end(signal ?? `exit code ${code ?? 'none'}`));
    for (const output of [this.#child.stdout, this.#child.stderr])
      output?.on('data', (data: Buffer) => this.#output(data));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get totals(): BridgeTotals {
    return this.#totals;
  }

  /** Calls that it has, or was told to expect. */
  get calls(): number {
    return this.#tickets.size;
  }

  get isReady(): boolean {
    return this.#port !== null && !this.#isRetiring && !this.#isOver;
  }

  get isRetiring(): boolean {
    return this.#isRetiring;
  }

  has(ticket: string): boolean {
    return this.#tickets.has(ticket);
  }

  /** @returns URL to which the call is to be connected; only of one that is ready */
  expect(call: BridgedCallFacts): string {
    this.#tickets.add(call.ticket);
    this.#taken++;
    this.#tell({ type: 'expect', call });
    return `ws://127.0.0.1:${this.#port ?? 0}/`;
  }

  /** To be called about once a second. */
  tick(nowMs: number, deafMs: number): void {
    this.#heardMs = Math.min(nowMs, this.#heardMs + deafMs);
    const limitMs = this.#port === null ? silentForMs.starting : silentForMs.ready;
    if (nowMs - this.#heardMs > limitMs) this.kill();
    else if (this.#taken >= mostCalls || this.#totals.rssBytes > mostRssBytes) this.retire();
  }

  /** Gets no more calls, and ends with its last one. */
  retire(): void {
    if (this.#isRetiring || this.#isOver) return;
    this.#isRetiring = true;
    this.#tell({ type: 'retire' });
  }

  kill(): void {
    if (!this.#isOver) this.#child.kill('SIGKILL');
  }

  #tell(message: ToBridge): void {
    if (this.#child.connected) this.#child.send(message, ignore);
  }

  #receive(message: FromBridge): void {
    if (this.#isOver) return;
    this.#heardMs = performance.now();
    switch (message.type) {
      case 'ready':
        this.#port = message.port;
        this.#events.ready();
        return;
      case 'failed':
        this.#isRetiring = true;
        this.#events.failed(message.reason, message.message);
        this.kill();
        return;
      case 'beat':
        this.#totals = message.totals;
        return;
      case 'over':
        this.#tickets.delete(message.ticket);
        this.#events.over(message.ticket);
        return;
      case 'log':
        this.#events.log(message);
    }
  }

  #output(data: Buffer): void {
    for (const line of data.toString('utf8').split('\n')) {
      if (line.trim() !== '' && ++this.#lines <= mostOutput) this.#events.output(line.slice(0, 500));
    }
  }

  #end(how: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#port = null;
    const tickets = [...this.#tickets];
    this.#tickets.clear();
    for (const ticket of tickets) this.#events.over(ticket);
    this.#events.ended(how);
  }
}

function ignore(): void {
  // It is ending, which its exit tells.
}
