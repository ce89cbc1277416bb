import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { channelOf, samplesOf } from '../../src/audio/pcm.js';
import { readWavHeader } from '../../src/audio/wav.js';
import { verdictOn } from '../../src/cli/verify.js';
import { Bot } from '../../src/simulators/Bot.js';
import type { BotCall } from '../../src/simulators/BotCall.js';
import type { Caller } from '../../src/simulators/Caller.js';
import { CallerAudio, frameMs } from '../../src/simulators/CallerAudio.js';
import { JambonzCaller } from '../../src/simulators/JambonzCaller.js';
import { TwilioCaller } from '../../src/simulators/TwilioCaller.js';
import type { RecordingLayout } from '../../src/spool/Manifest.js';
import { recordingsBelow } from '../../src/spool/RecordingFolder.js';
import { DaemonProcess, type LogLine } from './DaemonProcess.js';
import { eventually } from './eventually.js';
import { joined } from './Oracle.js';
import { stretchesIn } from './Placement.js';
import { SchedulingDelay } from './SchedulingDelay.js';
import { callerVoice, loudVoice } from './voice.js';

/** What the daemon is doing when it is killed. */
export const crashPhases = [
  /** Calls are up. */
  'talking',
  /** They have just hung up, and their chunks are being sealed. */
  'sealing',
  /** What is sealed is being stored. */
  'uploading',
  /** It takes up what an earlier kill has left; once or twice more. */
  'starting',
  /** Its recorder was broken just before, and is being started again. */
  'recorder',
  /** The same with its control thread. */
  'control',
  /** It was asked to end. */
  'draining',
] as const;
export type CrashPhase = (typeof crashPhases)[number];

/** One round: the daemon was killed under some calls, once or more often, and started again. */
export interface CrashRound {
  readonly phase: CrashPhase;
  readonly kills: number;
  /** After the calls began, ms. */
  readonly killedAtMs: number;
  /**
   * Per call that was up: how long before the kill the first audio reached the bot that the recording misses, ms; 0 where it misses none.
   * Audio that came in a burst, because its caller had no processor, counts from when it came.
   */
  readonly missedMs: readonly number[];
  /** Delays by scheduler and disk within two flushes, at their worst during the calls, ms. */
  readonly delayMs: number;
  /** What may be missed at most: flush interval, one frame, that delay, and what came while there was no recorder. */
  readonly boundMs: number;
  /** From a fault of the recorder until its successor was seen to work, ms; null where there was none, or the kill came before. */
  readonly restartMs: number | null;
  readonly problems: readonly string[];
}

/** A call of a round. */
interface Spoken {
  readonly caller: Caller;
  /** When it had ended, on the clock of `performance.now()`; Infinity until then. */
  endedMs: number;
}

/** Calls are this long unless something ends them, seconds. */
const seconds = 8;

/** One daemon on its own folders, with its own callers and bot. */
export class CrashLane {
  readonly #daemon: DaemonProcess;
  readonly #bot: Bot;
  readonly #delay: SchedulingDelay;
  readonly #random: () => number;
  /** Audio for callers, made once: by rate. */
  readonly #audio = new Map<string, CallerAudio>();
  #spoken: Spoken[] = [];
  /** When the recorder was broken, on the clock of `performance.now()`, and how long after that its successor worked, ms. */
  #brokenMs = Infinity;
  #restartMs: number | null = null;
  /** When the daemon was killed, on that clock. */
  #killedMs = Infinity;

  private constructor(daemon: DaemonProcess, bot: Bot, random: () => number) {
    this.#daemon = daemon;
    this.#bot = bot;
    this.#delay = new SchedulingDelay(join(daemon.dir, 'disk'));
    this.#random = random;
  }

  static async open(dir: string, layout: RecordingLayout, random: () => number): Promise<CrashLane> {
    const bot = new Bot({ echo: true });
    const { url } = await bot.listen();
    const upstream = { twilio: `${url}/twilio`, jambonz: `${url}/jambonz` };
    const accounts = [{ id: '*', upstream, resumeSeconds: 0 }];
    const daemon = await DaemonProcess.start({
      dir,
      accounts,
      chunkSeconds: 1,
      env: { REELAY_FAULTS: '1' },
      config: { recording: { layout } },
    });
    return new CrashLane(daemon, bot, random);
  }

  async close(): Promise<void> {
    await this.#daemon.kill();
    await this.#delay.close();
    await this.#bot.close();
  }

  /** What the daemons of the lane have logged from warnings on. */
  get complaints(): readonly LogLine[] {
    return this.#daemon.logged(40);
  }

  async round(phase: CrashPhase): Promise<CrashRound> {
    const { up, over } = await this.#dial();
    const beganMs = performance.now();
    this.#delay.takeTogether();
    await this.#bring(phase, up);
    const killingMs = performance.now();
    // One that was asked to end may be quicker.
    let kills = (await this.#daemon.kill('SIGKILL')).signal === 'SIGKILL' ? 1 : 0;
    this.#killedMs = Math.min(this.#daemon.killedMs, performance.now());
    const delayMs = this.#delay.takeTogether();
    await over;
    if (phase === 'starting') kills += await this.#killAtStart();
    await this.#daemon.restart();
    // Without a recorder audio waits in memory, until its successor has read all of it.
    const isAlone = this.#brokenMs !== Infinity && this.#restartMs === null;
    const alone = isAlone ? this.#killedMs - this.#brokenMs : 0;
    const boundMs = this.#daemon.flushMs + frameMs + delayMs + alone;
    const problems: string[] = [];
    const missedMs: number[] = [];
    for (const spoken of this.#spoken) {
      // Whoever is asked to end cuts calls that are still up, and says so.
      const sureMs = phase === 'draining' ? -Infinity : killingMs - boundMs;
      const ms = await this.#judge(spoken, sureMs, problems).catch((error: unknown) => {
        problems.push(`${spoken.caller.callSid}: ${String(error)}`);
        return 0;
      });
      if (up.includes(spoken.caller)) missedMs.push(ms);
      if (ms > boundMs)
        problems.push(`what came ${ms.toFixed(1)} ms before is missing, ${boundMs.toFixed(1)} may be`);
    }
    await this.#tidy(problems);
    const [killedAtMs, restartMs] = [killingMs - beganMs, this.#restartMs];
    return { phase, kills, killedAtMs, missedMs, delayMs, boundMs, restartMs, problems };
  }

  /** Three calls that stay up, and one that doesn't. */
  async #dial(): Promise<{ readonly up: readonly Caller[]; readonly over: Promise<unknown> }> {
    const up = [this.#twilio(), this.#jambonz(8000, 'mono'), this.#jambonz(16_000, 'stereo')];
    const callers = [...up, this.#twilio(0.3)];
    this.#spoken = callers.map((caller) => ({ caller, endedMs: Infinity }));
    const calls = this.#spoken.map(async (spoken) => {
      await spoken.caller.call();
      spoken.endedMs = performance.now();
    });
    const heard = ({ callSid }: Caller) =>
      this.#bot.calls.some((call) => call.callSid === callSid && call.frames.length > 0);
    await eventually('the bot hears every caller', () => callers.every(heard));
    return { up, over: Promise.all(calls) };
  }

  /** Resolves when the daemon does what it is to be killed at. */
  async #bring(phase: CrashPhase, up: readonly Caller[]): Promise<void> {
    this.#brokenMs = Infinity;
    this.#restartMs = null;
    // Now and then long enough for chunks to be sealed while their calls are up.
    await sleep(this.#random() < 0.25 ? 1000 + this.#random() * 2500 : 200 + this.#random() * 800);
    switch (phase) {
      case 'talking':
      case 'starting':
        break;
      case 'sealing':
      case 'uploading':
        for (const caller of up) caller.hangUp();
        await sleep(this.#random() * (phase === 'sealing' ? 120 : 700));
        break;
      case 'recorder':
        this.#brokenMs = performance.now();
        await this.#daemon.fault(phase, this.#fault());
        await this.#watchRecorder(this.#random() * 500);
        break;
      case 'control':
        await this.#daemon.fault(phase, this.#fault());
        await sleep(this.#random() * 500);
        break;
      case 'draining':
        this.#daemon.signal('SIGTERM');
        await sleep(this.#random() * 400);
    }
  }

  #fault(): string {
    return this.#random() < 0.5 ? 'exit' : 'throw';
  }

  /** Looks for so long whether the recorder that was broken has a successor that works: one says so when it has emptied the ring. */
  async #watchRecorder(ms: number): Promise<void> {
    const untilMs = performance.now() + ms;
    let wasGone = false;
    while (performance.now() < untilMs) {
      const { recorder } = await this.#daemon.threads();
      wasGone ||= recorder !== 'ready';
      if (wasGone && recorder === 'ready') this.#restartMs ??= performance.now() - this.#brokenMs;
      await sleep(Math.min(5, Math.max(0, untilMs - performance.now())));
    }
  }

  /** Kills a daemon that starts, before or soon after it is ready. @returns how often */
  async #killAtStart(): Promise<number> {
    const times = this.#random() < 0.3 ? 2 : 1;
    for (let time = 0; time < times; time += 1) {
      const starting = this.#daemon.restart().catch(() => undefined);
      await sleep(this.#random() * 900);
      await this.#daemon.kill('SIGKILL');
      await starting;
    }
    return times;
  }

  /**
   * @param sureMs - a call that ended before is whole, on the clock of `performance.now()`
   * @returns as `missedMs` of the round
   */
  async #judge({ caller, endedMs }: Spoken, sureMs: number, problems: string[]): Promise<number> {
    const { callSid, provider } = caller;
    const name = `${provider} ${callSid}`;
    const folder = await this.#daemon.stored(callSid);
    const { findings } = await verdictOn(folder);
    for (const { code, detail } of findings) problems.push(`${name}: verify: ${code} ${detail}`);
    const { state, reason } = (await folder.manifest())?.value ?? { state: 'unreadable', reason: null };
    const missing = await this.#missing(caller, name, problems);
    const isWhole = state === 'complete' && missing.samples === 0;
    const mayBeCut = endedMs > sureMs && state === 'interrupted';
    if (!isWhole && !mayBeCut)
      problems.push(`${name}: ${state} (${reason}), ${missing.samples} samples missing`);
    // What the bot saw only after the kill had been on its way to it.
    return missing.samples === 0 ? 0 : Math.max(0, this.#killedMs - missing.sinceMs);
  }

  /** @returns how much reached the bot and isn't in the recording, and when the first of it came */
  async #missing(
    caller: Caller,
    name: string,
    problems: string[],
  ): Promise<{ readonly samples: number; readonly sinceMs: number }> {
    const [stream] = caller.result().streams;
    const call = await this.#heard(caller.callSid);
    const pieces = call.frames.map((frame) => call.pcm(frame));
    const said = joined(pieces);
    // What the daemon read but had no time to pass on may be recorded, too.
    const frames = (stream?.frames ?? []).map(({ payload }) => call.pcm({ ...blank, payload }));
    const recorded = stretchesIn(await this.#recorded(caller.callSid), joined(frames));
    let has = 0;
    for (const { index, samples } of recorded) {
      // A caller that stood still with its machine loses what its client has no room for, and that is a gap.
      if (index !== has || (has > 0 && !losses(stream?.frames ?? [], frames).includes(index)))
        problems.push(`${name}: goes on at ${index} of what was sent, behind ${has}`);
      has = index + samples;
    }
    let end = 0;
    const first = pieces.findIndex(({ length }) => (end += length) > has);
    return { samples: Math.max(0, said.length - has), sinceMs: call.frames[first]?.atMs ?? Infinity };
  }

  /** The caller's channel as the daemon gives it to whoever asks. */
  async #recorded(callSid: string): Promise<Int16Array> {
    const [one] = await this.#daemon.recordings(`&callId=${callSid}`);
    if (one === undefined || one.samples === 0) return new Int16Array(0);
    const response = await this.#daemon.get(`/v1/recordings/${one.recordingId}/audio.wav`);
    if (!response.ok) throw new Error(`the audio of ${callSid} gave ${response.status}`);
    const wav = new Uint8Array(await response.arrayBuffer());
    const { channels, dataOffset, dataBytes } = readWavHeader(wav);
    return channelOf(samplesOf(wav.slice(dataOffset, dataOffset + dataBytes)), 0, channels);
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
    if (length !== this.#spoken.length) problems.push(`${length} recordings of ${this.#spoken.length} calls`);
    // What was judged isn't needed any more, and would only make every look take longer.
    await rm(this.#daemon.storeDir, { recursive: true, force: true });
    this.#bot.calls.length = 0;
  }

  #twilio(callSeconds = seconds): TwilioCaller {
    const audio = this.#voice('twilio', 8000);
    const url = this.#daemon.media('/twilio');
    return new TwilioCaller({ url, audio, seconds: callSeconds, accountSid: 'acme' });
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

/** Where in what a caller has sent something is missing that it had no room for: sample positions. */
function losses(frames: readonly { readonly lostBefore: number }[], pcm: readonly Int16Array[]): number[] {
  let position = 0;
  return frames.flatMap(({ lostBefore }, index) => {
    const start = position;
    position += pcm[index]?.length ?? 0;
    return lostBefore > 0 ? [start] : [];
  });
}
