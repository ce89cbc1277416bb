import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { FromBots, HeardByBot, ToBots } from './botThread.js';

/** Where the bots of a test answer: one for each way and rate in which audio can go back. */
export interface BotAddress {
  readonly returns: 'streaming' | 'playAudio' | 'none';
  /** Null: the stream's own rate. */
  readonly returnSampleRate: number | null;
  readonly url: string;
}

/**
 * The bots of a test in a thread of their own: a bot that sends ten seconds of audio in one go would otherwise keep the
 * caller, in the same loop, from noticing when it arrived.
 */
export class BotHouse {
  readonly addresses: readonly BotAddress[];
  readonly #worker: Worker;

  private constructor(worker: Worker, addresses: readonly BotAddress[]) {
    this.#worker = worker;
    this.addresses = addresses;
  }

  /** @param scenarios - URL of the module whose `scenarios` say what the bots do */
  static async open(scenarios: URL, returnRates: readonly number[] = []): Promise<BotHouse> {
    const workerData = { scenarios: scenarios.href, returnRates };
    const worker = new Worker(new URL('./botThread.js', import.meta.url), { workerData });
    const message = await next(worker, 'open');
    return new BotHouse(worker, message.addresses);
  }

  /** Tells the bots what a call is going to be. */
  async expect(callSid: string, scenario: string, seed: number): Promise<void> {
    this.#post({ type: 'expect', callSid, scenario, seed });
    await next(this.#worker, 'expected', callSid);
  }

  /** What the bots know of a call whose sockets are all closed, or will be soon. */
  async tell(callSid: string): Promise<HeardByBot> {
    this.#post({ type: 'tell', callSid });
    const { heard } = await next(this.#worker, 'told', callSid);
    return heard;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #post(message: ToBots): void {
    this.#worker.postMessage(message);
  }
}

type Message<Type extends FromBots['type']> = Extract<FromBots, { readonly type: Type }>;

async function next<Type extends FromBots['type']>(
  worker: Worker,
  type: Type,
  callSid = '',
): Promise<Message<Type>> {
  for (;;) {
    const [message] = (await once(worker, 'message')) as [FromBots];
    if (message.type === type && message.callSid === callSid) return message as Message<Type>;
  }
}
