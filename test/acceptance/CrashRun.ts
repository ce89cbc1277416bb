import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { recordingsBelow } from '../../src/spool/RecordingFolder.js';
import { Bot } from '../../src/simulators/Bot.js';
import type { BotCall } from '../../src/simulators/BotCall.js';
import type { Caller } from '../../src/simulators/Caller.js';
import { CallerAudio, frameMs } from '../../src/simulators/CallerAudio.js';
import { JambonzCaller } from '../../src/simulators/JambonzCaller.js';
import { TwilioCaller } from '../../src/simulators/TwilioCaller.js';
import { DaemonProcess, type LogLine } from './DaemonProcess.js';
import { eventually } from './eventually.js';
import { joined } from './Oracle.js';
import { stretchesIn } from './Placement.js';
import { randomFrom } from './randomFrom.js';
import { SchedulingDelay } from './SchedulingDelay.js';
import { readStoredCall } from './StoredCall.js';
import { callerVoice, loudVoice } from './voice.js';

/** One round: the daemon was killed under some calls and started again. */
export interface CrashRound {
  readonly killedAtMs: number;
  /** It was killed a second time while it took up what the first time had left. */
  readonly twice: boolean;
  /** Per call that was up: audio that the bot received and the recording misses, ms. */
  readonly missedMs: readonly number[];
  /** Longest scheduling delay that was measured during the calls, ms. */
  readonly delayMs: number;
  /** What may be missed at most: flush interval, one frame, scheduling delay. */
  readonly boundMs: number;
  readonly problems: readonly string[];
}

/** When it is killed, after the calls began, ms. */
const [earliestMs, latestMs] = [800, 2800];
const seconds = 6;

/** Kills the daemon at random moments of running calls, starts it again on the same folders, and looks for what is missing. */
export class CrashRun {
  readonly #daemon: DaemonProcess;
  readonly #bot: Bot;
  readonly #delay = new SchedulingDelay();
  readonly #random: () => number;
  /** Audio for callers, made once: by rate. */
  readonly #audio = new Map<string, CallerAudio>();
  #recordings = 0;

  private constructor(daemon: DaemonProcess, bot: Bot, seed: number) {
    this.#daemon = daemon;
    this.#bot = bot;
    this.#random = randomFrom(seed);
  }

  static async open(dir: string, seed: number): Promise<CrashRun> {
    const bot = new Bot({ echo: true });
    const { url } = await bot.listen();
    const upstream = { twilio: `${url}/twilio`, jambonz: `${url}/jambonz` };
    const accounts = [{ id: '*', upstream, resumeSeconds: 0 }];
    const daemon = await DaemonProcess.start({ dir, accounts, chunkSeconds: 1 });
    return new CrashRun(daemon, bot, seed);
  }

  async close(): Promise<void> {
    await this.#daemon.kill();
    await this.#delay.close();
    await this.#bot.close();
  }

  /** What the daemons of the run have logged from warnings on. */
  get complaints(): readonly LogLine[] {
    return this.#daemon.logged(40);
  }

  async round(): Promise<CrashRound> {
    const killedAtMs = earliestMs + this.#random() * (latestMs - earliestMs);
    const twice = this.#random() < 0.25;
    const recoveryMs = this.#random() * 200;
    const up = [this.#twilio(), this.#twilio(), this.#jambonz(8000, 'mono'), this.#jambonz(16_000, 'stereo')];
    const brief = this.#twilio(0.4);
    const calls = [...up, brief].map((caller) => caller.call());
    await Promise.all([...up, brief].map((caller) => once(caller, 'open')));
    this.#delay.take();
    await sleep(killedAtMs);
    await this.#daemon.kill('SIGKILL');
    const delayMs = this.#delay.take();
    await Promise.all(calls);
    await this.#daemon.restart();
    if (twice) {
      await sleep(recoveryMs);
      await this.#daemon.kill('SIGKILL');
      await this.#daemon.restart();
    }
    const boundMs = this.#daemon.flushMs + frameMs + delayMs;
    const problems: string[] = [];
    const missedMs: number[] = [];
    for (const caller of up) missedMs.push(await this.#missed(caller, 'interrupted', problems));
    const briefMs = await this.#missed(brief, 'complete', problems);
    if (briefMs > 0) problems.push(`a call that had ended misses ${briefMs} ms`);
    for (const ms of missedMs)
      if (ms > boundMs) problems.push(`${ms.toFixed(1)} ms are missing, ${boundMs.toFixed(1)} may be`);
    this.#recordings += up.length + 1;
    await this.#tidy(problems);
    return { killedAtMs, twice, missedMs, delayMs, boundMs, problems };
  }

  /** @returns audio of the caller that reached the bot and isn't in the recording, ms */
  async #missed(caller: Caller, state: string, problems: string[]): Promise<number> {
    const { callSid, provider } = caller;
    const { manifest, channels, findings } = await readStoredCall(await this.#daemon.stored(callSid));
    const [stream] = caller.result().streams;
    const call = await this.#heard(callSid);
    const name = `${provider} ${callSid}`;
    for (const { code, detail } of findings) problems.push(`${name}: verify: ${code} ${detail}`);
    if (manifest.state !== state)
      problems.push(`${name}: ${manifest.state} (${manifest.reason}), not ${state}`);
    const said = joined(call.frames.map((frame) => call.pcm(frame)));
    // What the daemon read but had no time to pass on may be recorded, too.
    const sent = joined((stream?.frames ?? []).map(({ payload }) => call.pcm({ ...blank, payload })));
    const recorded = stretchesIn(channels[0] ?? new Int16Array(0), sent);
    const [whole] = recorded;
    if (recorded.length !== 1 || whole?.index !== 0) {
      problems.push(`${name}: recorded in ${recorded.length} stretches, from ${whole?.index}`);
    }
    const missing = said.length - (whole?.samples ?? 0);
    return (Math.max(0, missing) * 1000) / caller.result().sampleRate;
  }

  /** The bot's side of a call, once its socket is closed. */
  async #heard(callSid: string): Promise<BotCall> {
    const call = this.#bot.calls.find((each) => each.callSid === callSid);
    if (call === undefined) throw new Error(`the bot knows no call ${callSid}`);
    if (call.closed === null) await once(call, 'closed');
    return call;
  }

  /** Nothing is left over, and nothing is there twice. */
  async #tidy(problems: string[]): Promise<void> {
    await eventually('the spool is empty', async () => (await this.#daemon.spooled()).length === 0);
    const { length } = await recordingsBelow(this.#daemon.storeDir);
    if (length !== this.#recordings) problems.push(`${length} recordings of ${this.#recordings} calls`);
    // What a bot heard of calls that were judged isn't needed any more.
    this.#bot.calls.length = 0;
  }

  #twilio(callSeconds = seconds): TwilioCaller {
    const audio = this.#voice('twilio', 8000);
    return new TwilioCaller({
      url: this.#daemon.media('/twilio'),
      audio,
      seconds: callSeconds,
      accountSid: 'acme',
    });
  }

  #jambonz(sampleRate: number, mixType: 'mono' | 'stereo'): JambonzCaller {
    const audio = this.#voice('jambonz', sampleRate);
    const url = this.#daemon.media('/jambonz');
    return new JambonzCaller({ url, audio, seconds, sampleRate, mixType, accountSid: 'acme' });
  }

  #voice(provider: 'twilio' | 'jambonz', sampleRate: number): CallerAudio {
    const key = `${provider} ${sampleRate}`;
    const known = this.#audio.get(key);
    if (known !== undefined) return known;
    const pcm = (provider === 'twilio' ? loudVoice : callerVoice)(sampleRate, seconds * sampleRate);
    const audio = new CallerAudio(pcm, { sampleRate });
    this.#audio.set(key, audio);
    return audio;
  }
}

const blank = { timestampMs: NaN, sequence: NaN, track: 'inbound', atMs: 0 } as const;
