import type { Arm, Fault } from './Fault.js';
import { type Scene, unrecorded } from './Scene.js';

const group = 'stalled';
/** Where less is held up in a window, the peer wasn't felt, bytes. */
const leastStalled = 256 * 1024;

/**
 * One more call, through which flows a hundred times what is spoken, whose receiving end stops reading. In calm windows there is such a
 * call, too, and both ends read.
 */
export class StalledPeer implements Fault {
  readonly name: string;
  readonly setting = 'plain';
  readonly #deaf: 'bot' | 'caller';
  #stalled: number[] = [];
  readonly #cuts = new Map<string, number>();

  constructor(deaf: 'bot' | 'caller') {
    this.name = deaf === 'bot' ? 'bot-stops-reading' : 'provider-stops-reading';
    this.#deaf = deaf;
  }

  async before(scene: Scene): Promise<void> {
    const flood = this.#deaf === 'bot' ? 'caller' : 'bot';
    const call = { url: scene.media, accountSid: unrecorded, calls: 1, overMs: 0 };
    const { up } = await scene.party.ask({ type: 'open', group, ...call, flood });
    if (up !== 1) throw new Error('the call that is to stall was not let in');
  }

  async after({ party }: Scene, arm: Arm): Promise<void> {
    const { sent, received, cut } = await party.ask({ type: 'flow', group });
    if (arm === 'fault') {
      this.#stalled.push(sent - received);
      this.#cuts.set(cut ?? 'still up', (this.#cuts.get(cut ?? 'still up') ?? 0) + 1);
    } else if (cut !== null) throw new Error(`a call that read everything was cut: ${cut}`);
    await party.ask({ type: 'hangUp', group });
  }

  async begin({ party }: Scene): Promise<void> {
    await party.ask({ type: 'deafen', group, end: this.#deaf, deaf: true });
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  evidence(): Promise<string> {
    const least = Math.min(...this.#stalled);
    if (least < leastStalled) throw new Error(`only ${least} bytes were held up`);
    const cuts = [...this.#cuts].map(([cut, times]) => `${times} × ${cut}`);
    return Promise.resolve(
      `${(least / 2 ** 20).toFixed(1)} MiB and more held up; the call: ${cuts.join(', ')}`,
    );
  }
}
