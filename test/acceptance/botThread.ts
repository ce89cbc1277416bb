import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { Bot } from '../../src/simulators/Bot.js';
import type { BotCall } from '../../src/simulators/BotCall.js';
import type { BotAddress } from './BotHouse.js';
import { BotSpeech } from './BotSpeech.js';
import type { Scenario } from './Scenario.js';
import { botVoice, loudVoice } from './voice.js';

/** What the bots heard of a call and said in it. */
export interface HeardByBot {
  /** Everything sent, in order, as it decodes. */
  readonly said: Int16Array;
  readonly streams: readonly {
    readonly url: string;
    /** Audio bytes, one piece per message. */
    readonly payloads: readonly Uint8Array[];
    readonly digits: readonly string[];
    readonly closeCode: number;
  }[];
}

export type ToBots =
  | { readonly type: 'expect'; readonly callSid: string; readonly scenario: string; readonly seed: number }
  | { readonly type: 'tell'; readonly callSid: string };

export type FromBots =
  | { readonly type: 'open'; readonly callSid: ''; readonly addresses: readonly BotAddress[] }
  | { readonly type: 'expected'; readonly callSid: string }
  | { readonly type: 'told'; readonly callSid: string; readonly heard: HeardByBot };

const { scenarios: module, returnRates } = workerData as {
  readonly scenarios: string;
  readonly returnRates: readonly number[];
};
const { scenarios } = (await import(module)) as { readonly scenarios: readonly Scenario[] };
const parts = new Map<string, { readonly scenario: Scenario; readonly speech: BotSpeech }>();
const bots: Bot[] = [];
const addresses: BotAddress[] = [];

for (const returns of ['streaming', 'playAudio', 'none'] as const) {
  for (const returnSampleRate of [null, ...returnRates]) {
    const rate = returnSampleRate === null ? {} : { returnSampleRate };
    const bot = new Bot({ returns, onStart, ...rate });
    const { url } = await bot.listen();
    bots.push(bot);
    addresses.push({ returns, returnSampleRate, url });
  }
}
parentPort?.on('message', (message: ToBots) => void receive(message));
post({ type: 'open', callSid: '', addresses });

async function receive(message: ToBots): Promise<void> {
  const { callSid } = message;
  if (message.type === 'expect') {
    expect(message);
    post({ type: 'expected', callSid });
  } else post({ type: 'told', callSid, heard: await heardOf(callSid) });
}

function expect({ callSid, scenario: name, seed }: Extract<ToBots, { type: 'expect' }>): void {
  const scenario = scenarios.find((each) => each.name === name);
  if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
  const rate = scenario.returnSampleRate ?? scenario.sampleRate ?? 8000;
  const voice = scenario.provider === 'twilio' ? loudVoice : botVoice;
  parts.set(callSid, { scenario, speech: new BotSpeech(voice(seed, 20 * rate)) });
}

function onStart(call: BotCall): void {
  if (call.callSid === 'rehearsal') call.on('audio', ({ payload }) => call.sendAudio(payload));
  const part = parts.get(call.callSid);
  part?.scenario.bot?.(call, part.speech);
}

async function heardOf(callSid: string): Promise<HeardByBot> {
  const calls = bots.flatMap((bot) => bot.calls).filter((call) => call.callSid === callSid);
  for (const call of calls) if (call.closed === null) await once(call, 'closed');
  const streams = calls.map(({ url, frames, digits, closed }) => ({
    url,
    payloads: frames.map(({ payload }) => Uint8Array.from(payload)),
    digits,
    closeCode: closed?.code ?? 0,
  }));
  return { said: parts.get(callSid)?.speech.sent ?? new Int16Array(0), streams };
}

function post(message: FromBots): void {
  parentPort?.postMessage(message);
}
