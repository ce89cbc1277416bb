import { readSpeech } from '../../../src/audio/Speech.js';
import { Bot } from '../../../src/simulators/Bot.js';
import type { BotCall } from '../../../src/simulators/BotCall.js';
import type { Caller } from '../../../src/simulators/Caller.js';
import { CallerAudio } from '../../../src/simulators/CallerAudio.js';
import { JambonzCaller } from '../../../src/simulators/JambonzCaller.js';
import { speechFile } from '../../../src/simulators/speechFile.js';
import { TwilioCaller } from '../../../src/simulators/TwilioCaller.js';

/** When the provider loses frames of a call, ms. */
export const lostMs = { fromMs: 2600, toMs: 3400 } as const;

/** Calls of which there is something to see: speech on both sides, frames that are lost, keys, marks, and a barge-in. */
export class TalkativeCalls {
  readonly bot: Bot;
  readonly #callerSpeech: CallerAudio;
  readonly #callers: { readonly caller: Caller; readonly over: Promise<unknown> }[] = [];

  private constructor(callerSpeech: CallerAudio, botSpeech: Int16Array) {
    this.#callerSpeech = callerSpeech;
    this.bot = new Bot({ onStart: (call) => void speak(call, botSpeech) });
  }

  static async prepare(): Promise<TalkativeCalls> {
    const caller = await CallerAudio.read(speechFile('caller'), { sampleRate: 8000, loop: true });
    return new TalkativeCalls(caller, await readSpeech(speechFile('bot'), 8000));
  }

  /** A call of Twilio, whose streams don't say who calls whom unless their parameters do. It lasts until somebody hangs up. */
  begin(url: string, accountSid: string, parameters: Readonly<Record<string, string>>): TwilioCaller {
    const caller = new TwilioCaller({
      url,
      accountSid,
      audio: this.#callerSpeech,
      customParameters: parameters,
      drops: [lostMs],
      dtmf: [
        { atMs: 1800, digit: '5' },
        { atMs: 4200, digit: '#' },
      ],
    });
    this.#callers.push({ caller, over: caller.call() });
    return caller;
  }

  /** A call of jambonz, whose streams do. */
  beginNumbered(
    url: string,
    accountSid: string,
    numbers: { readonly from: string; readonly to: string },
  ): Caller {
    const caller = new JambonzCaller({ url, accountSid, audio: this.#callerSpeech, ...numbers });
    this.#callers.push({ caller, over: caller.call() });
    return caller;
  }

  /** Ends a call, and resolves when its caller has gone. */
  async hangUp(caller: Caller): Promise<void> {
    caller.hangUp();
    await this.#callers.find((each) => each.caller === caller)?.over;
  }

  async close(): Promise<void> {
    for (const { caller } of this.#callers) caller.hangUp();
    await Promise.all(this.#callers.map(({ over }) => over));
    await this.bot.close();
  }
}

/** Greets, marks the end of it, and is interrupted by a clear in the midst of what follows. */
async function speak(call: BotCall, speech: Int16Array): Promise<void> {
  call.say(speech.subarray(0, 2 * 8000));
  call.mark('greeting');
  const echoed = new Promise((resolve) => call.once('mark', resolve));
  call.once('dtmf', () => {
    call.say(speech.subarray(16_000, 16_000 + 10 * 8000));
    call.mark('menu');
  });
  await echoed;
  call.once('dtmf', () => {
    call.clear();
    call.say(speech);
    call.say(speech);
    call.say(speech);
  });
}
