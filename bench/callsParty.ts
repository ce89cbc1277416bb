/*
 * One end of the calls of `calls.ts`, in a process of its own: `bot`, which echoes, or `callers`, who speak. It is told what
 * to do over its parent's channel and answers there.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { kernels } from '../src/audio/kernels.js';
import { Bot } from '../src/simulators/Bot.js';
import { CallerAudio } from '../src/simulators/CallerAudio.js';
import type { CallResult } from '../src/simulators/CallResult.js';
import { TwilioCaller } from '../src/simulators/TwilioCaller.js';
import { loudVoice } from '../test/acceptance/voice.js';

/** What the bot received of one call. */
export interface BotReport {
  readonly callSid: string;
  readonly frames: number;
  /** Counters went up by one and time by 20 ms from frame to frame. */
  readonly inOrder: boolean;
}

/** What came of one call at the caller's end. */
export interface CallerReport {
  readonly callSid: string;
  readonly framesSent: number;
  /** What came back from the bot, heard or still queued when the caller hung up. */
  readonly framesReceived: number;
  /** What was heard is what was said, from the first sample on, without a hole. */
  readonly whole: boolean;
  readonly violations: number;
  readonly refused: string | null;
  /** ms, in order of receipt. */
  readonly roundTrips: readonly number[];
}

export interface CallersOrder {
  readonly url: string;
  readonly calls: number;
  readonly seconds: number;
  /** Default `bench`. */
  readonly accountSid?: string;
}

/** All calls say the same; the recordings are compared with it. @returns samples as mu-law leaves them */
export function benchVoice(seconds: number): Int16Array {
  const said = loudVoice(1, seconds * 8000);
  const mulaw = new Uint8Array(said.length);
  kernels.encodeMulaw(said, mulaw);
  kernels.decodeMulaw(mulaw, said);
  return said;
}

if (process.argv[2] === 'bot') await answer();
else if (process.argv[2] === 'callers') process.once('message', (order: CallersOrder) => void speak(order));

async function answer(): Promise<void> {
  const bot = new Bot({ echo: true });
  const { url } = await bot.listen();
  process.on('message', () => process.send?.(bot.calls.map(reportOf)));
  process.send?.(url);
}

function reportOf({ callSid, frames }: Bot['calls'][number]): BotReport {
  const inOrder = frames.every(
    ({ sequence, timestampMs }, index) =>
      sequence === (frames[0]?.sequence ?? 0) + index && timestampMs === index * 20,
  );
  return { callSid, frames: frames.length, inOrder };
}

async function speak({ url, calls, seconds, accountSid = 'bench' }: CallersOrder): Promise<void> {
  const audio = new CallerAudio(benchVoice(seconds), { sampleRate: 8000 });
  const results = Array.from({ length: calls }, async (_none, index) => {
    // Over a second, so that they don't all take their turn in the same millisecond of every 20.
    await sleep((index * 1000) / calls);
    return await new TwilioCaller({ url, audio, seconds, accountSid }).call();
  });
  // Looked at when all are over, so that the first to hang up don't keep the others waiting.
  process.send?.((await Promise.all(results)).map((result) => reportOn(result, audio)));
}

function reportOn(result: CallResult, audio: CallerAudio): CallerReport {
  const { callSid, framesSent, violations, refused, latencySamples } = result;
  const heard = Buffer.concat(result.streams.flatMap((stream) => stream.heard.map(({ bytes }) => bytes)));
  const received = result.streams.flatMap(({ receipts }) => receipts);
  const framesReceived = received.reduce((sum, { samples }) => sum + samples, 0) / 160;
  const framesHeard = Math.floor(heard.length / 160);
  const whole = Array.from({ length: framesHeard }).every((_none, frame) =>
    heard.subarray(frame * 160, (frame + 1) * 160).equals(audio.mulawFrame(frame).payload),
  );
  return {
    callSid,
    framesSent,
    framesReceived,
    whole,
    violations: violations.length,
    refused: refused?.reason ?? null,
    roundTrips: latencySamples,
  };
}
