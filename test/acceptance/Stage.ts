import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Caller } from '../../src/simulators/Caller.js';
import { CallerAudio, frameMs } from '../../src/simulators/CallerAudio.js';
import type { CallScript } from '../../src/simulators/CallerOptions.js';
import { JambonzCaller } from '../../src/simulators/JambonzCaller.js';
import { TwilioCaller } from '../../src/simulators/TwilioCaller.js';
import { BotHouse } from './BotHouse.js';
import type { HeardByBot } from './botThread.js';
import { DaemonProcess, type DaemonOptions } from './DaemonProcess.js';
import type { Evidence } from './Oracle.js';
import type { Scenario } from './Scenario.js';
import { readStoredCall, type StoredCall } from './StoredCall.js';
import { callerVoice, loudVoice } from './voice.js';

/** How often the loop's delay is measured, ms. */
const loopTickMs = 5;

/** The bots echo a call of this name. */
export const rehearsalSid = 'rehearsal';

export interface StageOptions extends Omit<DaemonOptions, 'accounts'> {
  /** URL of the module whose `scenarios` are played. */
  readonly scenarios: URL;
  /** Rates at which bots answer beside the streams' own, Hz. */
  readonly returnRates?: readonly number[];
}

/** A scenario after its call: what both ends know, and what lies in the store. */
export interface Performance {
  readonly scenario: Scenario;
  readonly evidence: Evidence;
  readonly heardByBot: HeardByBot;
  readonly stored: StoredCall;
}

/** A daemon in a process of its own, bots for every way in which audio can go back, and calls between them. */
export class Stage {
  readonly daemon: DaemonProcess;
  readonly bots: BotHouse;
  readonly #loop = monitorEventLoopDelay({ resolution: loopTickMs });

  private constructor(daemon: DaemonProcess, bots: BotHouse) {
    this.daemon = daemon;
    this.bots = bots;
  }

  static async open(options: StageOptions): Promise<Stage> {
    const bots = await BotHouse.open(options.scenarios, options.returnRates);
    const accounts = bots.addresses.map(({ returns, returnSampleRate, url }) => ({
      id: accountOf(returns, returnSampleRate),
      upstream: { twilio: `${url}/twilio`, jambonz: `${url}/jambonz` },
      resumeSeconds: 1,
      jambonz: { returns, ...(returns === 'streaming' ? { returnSampleRate } : {}) },
    }));
    return new Stage(await DaemonProcess.start({ ...options, accounts }), bots);
  }

  /** How late the simulators' own loop was at worst, and with it their stamps, ms. */
  get lateMs(): number {
    return Math.max(0, this.#loop.max / 1e6 - loopTickMs);
  }

  async close(): Promise<void> {
    this.#loop.disable();
    await this.daemon.kill('SIGKILL');
    await this.bots.close();
  }

  /**
   * Makes the calls, all at once, and waits for their recordings.
   *
   * @param over - ends the calls that are still up when it resolves
   */
  async perform(scenarios: readonly Scenario[], over?: Promise<unknown>): Promise<Performance[]> {
    await this.#rehearse();
    const casts: { scenario: Scenario; caller: Caller }[] = [];
    for (const [index, scenario] of scenarios.entries()) {
      const caller = this.#cast(scenario, 2 * index);
      await this.bots.expect(caller.callSid, scenario.name, 2 * index + 1);
      casts.push({ scenario, caller });
    }
    this.#loop.enable();
    void over?.finally(() => casts.forEach(({ caller }) => caller.hangUp()));
    // Callers don't take turns in step: each speaks at a moment of its own within the 20 ms of a frame.
    return await Promise.all(
      casts.map(async ({ scenario, caller }, index) => {
        await sleep(Math.round((index * frameMs) / casts.length) + (index % 3) * frameMs);
        return await this.#play(scenario, caller);
      }),
    );
  }

  /** A short call that nobody looks at: the code of all three is compiled before anything is measured. */
  async #rehearse(): Promise<void> {
    const [first] = this.bots.addresses;
    const audio = new CallerAudio(loudVoice(99, 8000), { sampleRate: 8000 });
    const url = this.daemon.media('/twilio');
    const accountSid = accountOf(first?.returns ?? 'streaming', null);
    await new TwilioCaller({ url, audio, accountSid, callSid: rehearsalSid, seconds: 1 }).call();
  }

  async #play(scenario: Scenario, caller: Caller): Promise<Performance> {
    const result = await caller.call();
    const stored = await readStoredCall(await this.daemon.stored(caller.callSid));
    const heardByBot = await this.bots.tell(caller.callSid);
    const { mixType = 'mono', returns = 'streaming', sampleRate = 8000 } = scenario;
    const { returnSampleRate = sampleRate, name, cuts = 1 } = scenario;
    const botSaid = heardByBot.said;
    const evidence = { name, result, botSaid, returnSampleRate, mixType, returns, cuts };
    return { scenario, evidence: { ...evidence, hiddenMs: hiddenMs(scenario) }, heardByBot, stored };
  }

  /** The caller of a scenario, who has not dialled yet. @param seed - of what it says */
  #cast(scenario: Scenario, seed: number): Caller {
    const { provider, seconds, sampleRate = 8000, returns = 'streaming', returnSampleRate } = scenario;
    const isTwilio = provider === 'twilio';
    const said = (isTwilio ? loudVoice : callerVoice)(seed, (seconds + 1) * sampleRate);
    const audio = new CallerAudio(said, { sampleRate });
    const accountSid = accountOf(returns, returnSampleRate ?? null);
    const common = {
      ...script(scenario),
      audio,
      seconds,
      accountSid,
      url: this.daemon.media(`/${provider}`),
    };
    if (isTwilio) return new TwilioCaller(common);
    const mixType = scenario.mixType === undefined ? {} : { mixType: scenario.mixType };
    const rate = returnSampleRate === undefined ? {} : { returnSampleRate };
    return new JambonzCaller({ ...common, sampleRate, returns, ...mixType, ...rate });
  }
}

/**
 * What a provider hides of its playout, ms: jambonz streaming holds back 1280 samples before it plays, for each whole multiple
 * of the leg's 8 kHz that the return rate is, and begins at a tick of 20 ms.
 */
function hiddenMs({ provider, returns = 'streaming', sampleRate = 8000, ...rest }: Scenario): number {
  if (provider === 'twilio' || returns !== 'streaming') return 0;
  const { returnSampleRate = sampleRate } = rest;
  return (1280 * Math.max(1, Math.floor(returnSampleRate / 8000)) * 1000) / returnSampleRate;
}

function accountOf(returns: string, returnSampleRate: number | null): string {
  return returnSampleRate === null ? returns : `${returns}-${returnSampleRate}`;
}

function script({ stalls, drops, dtmf, restarts }: Scenario): CallScript {
  return {
    ...(stalls === undefined ? {} : { stalls }),
    ...(drops === undefined ? {} : { drops }),
    ...(dtmf === undefined ? {} : { dtmf }),
    ...(restarts === undefined ? {} : { restarts }),
  };
}
