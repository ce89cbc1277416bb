import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import t from 'tap';
import { kernels } from '../../src/audio/kernels.js';
import { encodeOggOpus } from '../../src/audio/OggOpus.js';
import { bytesOf } from '../../src/audio/pcm.js';
import { promptAt, readPrompts } from '../../src/audio/Prompt.js';
import { Bot } from '../../src/simulators/Bot.js';
import { CallerAudio } from '../../src/simulators/CallerAudio.js';
import type { CallResult } from '../../src/simulators/CallResult.js';
import { JambonzCaller } from '../../src/simulators/JambonzCaller.js';
import { TwilioCaller } from '../../src/simulators/TwilioCaller.js';
import { DaemonProcess } from './DaemonProcess.js';
import { readStoredCall } from './StoredCall.js';
import { loudVoice } from './voice.js';

/* What callers are told when a recording begins: heard by the caller, and recorded where it was heard, with a whole daemon. */

const dir = t.testdir();
const file = join(dir, 'consent.ogg');
const spoken = loudVoice(5, 2 * 8000);
const opus = encodeOggOpus(Readable.from([bytesOf(spoken)]), { sampleRate: 8000, channels: 1, serial: 1 });
await pipeline(Readable.from(opus), createWriteStream(file));
const prompts = await readPrompts({ consent: { file, samples: {} } });

const answer = loudVoice(9, 8000);
const bot = new Bot({ say: () => answer });
const { url } = await bot.listen();
const daemon = await DaemonProcess.start({
  dir: join(dir, 'daemon'),
  chunkSeconds: 2,
  accounts: [{ id: 'acme', upstream: url, resumeSeconds: 0, prompt: 'consent' }],
  config: { prompts: { consent: file } },
});
t.teardown(async () => {
  await daemon.kill();
  await bot.close();
});

/** As it comes out of mu-law, in which Twilio carries it. */
function overTwilio(samples: Int16Array): Int16Array {
  const [mulaw, heard] = [new Uint8Array(samples.length), new Int16Array(samples.length)];
  kernels.encodeMulaw(samples, mulaw);
  kernels.decodeMulaw(mulaw, heard);
  return heard;
}

function heardBy({ streams }: CallResult): Int16Array {
  const pieces = streams.flatMap(({ heard }) => heard.map(({ pcm }) => [...pcm]));
  return Int16Array.from(pieces.flat());
}

/** The position of the first sample that isn't silence. */
function begin(samples: Int16Array): number {
  return samples.findIndex((sample) => sample !== 0);
}

async function recordedOf(caller: TwilioCaller | JambonzCaller) {
  const result = await caller.call();
  const { manifest, findings, channels } = await readStoredCall(await daemon.stored(caller.callSid));
  t.same(findings, []);
  t.match(
    manifest.events.filter(({ type }) => type.startsWith('prompt')),
    [{ type: 'prompt', name: 'consent' }],
  );
  return { result, bot: channels[1] ?? new Int16Array() };
}

await t.test('a caller of Twilio hears the prompt, then the bot, and so it is recorded', async (t) => {
  const audio = new CallerAudio(loudVoice(3, 4 * 8000), { sampleRate: 8000 });
  const caller = new TwilioCaller({ url: daemon.media('/twilio'), accountSid: 'acme', audio, seconds: 4 });
  const { result, bot } = await recordedOf(caller);
  const wanted = overTwilio(Int16Array.from([...(promptAt(prompts['consent'], 8000) ?? []), ...answer]));
  t.same(result.violations, []);
  const heard = heardBy(result);
  t.same(heard.subarray(0, wanted.length), wanted);
  const from = begin(bot) - begin(wanted);
  t.ok(from >= 0 && from < 4000, `recorded from sample ${from}`);
  t.same(bot.subarray(from, from + wanted.length), wanted);
});

await t.test('and a caller of jambonz', async (t) => {
  const audio = new CallerAudio(loudVoice(4, 4 * 16_000), { sampleRate: 16_000 });
  const options = { sampleRate: 16_000, legSampleRate: 8000 };
  const caller = new JambonzCaller({
    url: daemon.media('/jambonz'),
    accountSid: 'acme',
    audio,
    seconds: 4,
    ...options,
  });
  const { result, bot } = await recordedOf(caller);
  const prompt = promptAt(prompts['consent'], 16_000) ?? new Int16Array();
  t.same(result.violations, []);
  t.same(heardBy(result).subarray(0, prompt.length), prompt);
  const from = begin(bot) - begin(prompt);
  t.ok(from >= 0 && from < 8000, `recorded from sample ${from}`);
  t.same(bot.subarray(from, from + prompt.length), prompt);
});
