import type { ThreadTime } from './threadTimes.js';

/** Where a subject runs, and between whom. */
export interface Stage {
  /** The processor of the live path, and the one of everything else: the load, and what a subject does beside the live path. */
  readonly core: number;
  readonly otherCore: number;
  /** On 127.0.0.1. */
  readonly botPort: number;
  /** Its own, empty; removed when it has stopped. */
  readonly dir: string;
}

/** Something that calls can go through. */
export interface Subject {
  /** As the option `subjects` has it. */
  readonly name: string;
  /** What it is, for people. */
  readonly about: string;
  /** `relay`: the bot's answers come back through it. `record`: it only takes what it is sent, as a recorder does. */
  readonly traffic: 'relay' | 'record';
  /** Whether it is measured at fixed numbers of calls, or only asked how many it holds. */
  readonly hasRows: boolean;
  /** @returns why it can't run on this machine; null when it can */
  missing(): string | null;
  start(stage: Stage): Promise<RunningSubject>;
}

/** What a subject says went wrong, apart from what callers notice: on the live path, and of what it does beside that. */
export interface Complaints {
  readonly live: readonly string[];
  readonly beside: readonly string[];
}

export interface RunningSubject {
  /** Where it takes calls, on 127.0.0.1. */
  readonly port: number;
  /** All its processes. */
  readonly pids: readonly number[];
  isLive(thread: ThreadTime): boolean;
  /** Puts threads that it has started meanwhile where they belong. */
  pin(): void;
  complaints(): Promise<Complaints>;
  stop(): Promise<void>;
}
