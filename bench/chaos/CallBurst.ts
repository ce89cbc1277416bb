import { eventually } from '../../test/acceptance/eventually.js';
import type { Fault } from './Fault.js';
import { frameProblems } from './frameProblems.js';
import type { PartyCallReport } from './PartyMessage.js';
import { recorded, type Scene } from './Scene.js';

const group = 'burst';
const calls = 200;
const overMs = 1000;

/** 200 calls arrive within a second, speak, and hang up. Each is relayed without loss, or refused with a proper status. */
export class CallBurst implements Fault {
  readonly name = 'call-burst';
  readonly setting = 'plain';
  readonly #reports: PartyCallReport[] = [];
  readonly #problems: string[] = [];
  #refused = 0;
  #arriving: Promise<void> = Promise.resolve();

  begin(scene: Scene): Promise<void> {
    this.#arriving = this.#arrive(scene);
    this.#arriving.catch(() => undefined);
    return Promise.resolve();
  }

  async end({ party }: Scene): Promise<void> {
    await this.#arriving;
    this.#reports.push(...(await party.ask({ type: 'hangUp', group })));
  }

  async evidence(scene: Scene): Promise<string> {
    let unrecorded = 0;
    for (const report of this.#reports) {
      this.#problems.push(...frameProblems(report));
      const state = await finalState(scene, report.callSid);
      if (state === 'failed') unrecorded += 1;
      else if (state !== 'complete') this.#problems.push(`${report.callSid}: its recording is ${state}`);
    }
    const [problem] = this.#problems;
    if (problem !== undefined) throw new Error(`${this.#problems.length} problems, such as ${problem}`);
    if (this.#reports.length === 0) throw new Error('not one of them was let in');
    return `${this.#reports.length} let in, ${unrecorded} of them unrecorded, ${this.#refused} refused with 503`;
  }

  async #arrive({ party, media }: Scene): Promise<void> {
    const order = { group, url: media, accountSid: recorded, calls, overMs };
    const { up, refusals } = await party.ask({ type: 'open', ...order });
    this.#refused += refusals.length;
    for (const { status, code, retryAfter } of refusals) {
      if (status !== 503 || code === 'undefined') this.#problems.push(`refused with ${status} ${code}`);
      else if (code === 'overloaded' && retryAfter === null) this.#problems.push('503 without Retry-After');
    }
    if (up + refusals.length !== calls) {
      this.#problems.push(`${calls - up - refusals.length} calls were let in and got no bot`);
    }
  }
}

async function finalState({ daemon }: Scene, callSid: string): Promise<string> {
  return await eventually(`the recording of ${callSid} is over`, async () => {
    const [one] = await daemon.recordings(`&callId=${callSid}`);
    return one !== undefined && one.state !== 'recording' && one.state !== 'uploading' && one.state;
  });
}
