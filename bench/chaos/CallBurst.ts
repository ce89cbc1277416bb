import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from './Fault.js';
import { frameProblems } from './frameProblems.js';
import type { Party } from './Party.js';
import type { PartyCallReport } from './PartyMessage.js';
import { crowded, type Scene } from './Scene.js';

const group = 'burst';
const calls = 200;
const overMs = 1000;
/** The limit was reached between its upgrade and its start message. */
const closedEarly = /^caller closed with 1013 (too_many_streams|overloaded)/;
const finals = new Set(['complete', 'interrupted', 'failed']);
/** Looks at the recordings, five a second. */
const patience = 150;

/** 200 calls arrive within a second, speak, and hang up. Each is relayed without loss, or refused with a proper status. */
export class CallBurst implements Fault {
  readonly name = 'call-burst';
  readonly setting = 'plain';
  readonly #problems: string[] = [];
  #letIn = 0;
  #closed = 0;
  #unrecorded = 0;
  #refused = 0;
  /** From the first dial to the last that is up, at most. */
  #slowestMs = 0;
  #arriving: Promise<void> = Promise.resolve();

  begin(scene: Scene): Promise<void> {
    this.#arriving = this.#arrive(scene);
    this.#arriving.catch(() => undefined);
    return Promise.resolve();
  }

  /** Waits until what they left is stored, so that the next window is calm. */
  async end(scene: Scene): Promise<void> {
    await this.#arriving;
    const reports = await crowdOf(scene).ask({ type: 'hangUp', group });
    const letIn = reports.filter(({ cut }) => cut === null || !closedEarly.test(cut));
    this.#letIn += letIn.length;
    this.#closed += reports.length - letIn.length;
    for (const report of letIn) this.#problems.push(...frameProblems(report));
    const states = await finalStates(scene, letIn);
    for (const [callSid, state] of states) {
      if (state === 'failed') this.#unrecorded += 1;
      else if (state !== 'complete') this.#problems.push(`${callSid}: its recording is ${state}`);
    }
  }

  evidence(): Promise<string> {
    const [problem] = this.#problems;
    if (problem !== undefined) {
      throw new Error(`${this.#problems.length} problems, such as ${this.#problems.slice(0, 5).join('; ')}`);
    }
    if (this.#letIn === 0) throw new Error('not one of them was let in');
    const refused = `${this.#refused} refused with 503, ${this.#closed} at their start with 1013`;
    const within = `all within ${(this.#slowestMs / 1000).toFixed(1)} s`;
    return Promise.resolve(
      `${this.#letIn} let in, ${this.#unrecorded} of them unrecorded, ${refused}, ${within}`,
    );
  }

  async #arrive(scene: Scene): Promise<void> {
    const order = { group, url: scene.media, accountSid: crowded, calls, overMs };
    const fromMs = performance.now();
    const { refusals } = await crowdOf(scene).ask({ type: 'open', ...order });
    this.#slowestMs = Math.max(this.#slowestMs, performance.now() - fromMs);
    this.#refused += refusals.length;
    for (const { status, code, retryAfter } of refusals) {
      if (status !== 503 || code === 'undefined') this.#problems.push(`refused with ${status} ${code}`);
      else if (code === 'overloaded' && retryAfter === null) this.#problems.push('503 without Retry-After');
    }
  }
}

function crowdOf({ crowd }: Scene): Party {
  if (crowd === null) throw new Error('there is nobody to call');
  return crowd;
}

/** The state of each call's recording, once it won't change any more; after {@link patience} looks, as it is then. */
async function finalStates(
  { daemon }: Scene,
  reports: readonly PartyCallReport[],
): Promise<ReadonlyMap<string, string>> {
  const states = new Map<string, string>(reports.map(({ callSid }) => [callSid, 'not listed']));
  for (let look = 0; look < patience; look += 1) {
    for (const { callId, state } of await daemon.recordings())
      if (states.has(callId)) states.set(callId, state);
    if ([...states.values()].every((state) => finals.has(state))) break;
    await sleep(200);
  }
  return states;
}
