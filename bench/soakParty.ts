/*
 * Whoever is not the daemon in `soak.ts`, each in a process of its own: `bot`, `callers`, or `store`. Talks with its parent over
 * the channel between them.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { openBackend } from '../test/acceptance/openBackend.js';
import { randomFrom } from '../test/acceptance/randomFrom.js';
import { LeanBot } from './LeanBot.js';
import { LeanCall, type LeanReport } from './LeanCall.js';
import { LeanVoice } from './LeanVoice.js';

/** What the callers are told. */
export interface SoakOrder {
  readonly origin: string;
  readonly accounts: readonly string[];
  /** Calls at once: whenever one ends, another begins. */
  readonly calls: number;
  /** How long all of it goes on. */
  readonly seconds: number;
  /** Mean length of a call, seconds. */
  readonly meanSeconds: number;
  readonly seed: number;
}

/** Beats between two frames: calls that begin at random fall on each of them. */
const beatMs = 5;
/** Every tenth call is this many times as long as the mean, and the others accordingly shorter. */
const longShare = 0.1;
const longTimes = 5;
/** Every twentieth caller is gone without a word. */
const vanishingShare = 0.05;

const [role] = process.argv.slice(2);
if (role === 'bot') process.send?.((await LeanBot.listen()).origin);
else if (role === 'callers') process.once('message', (order: SoakOrder) => void speak(order));
else if (role === 'store') process.once('message', (accounts: string[]) => void store(accounts));

async function store(accounts: readonly string[]): Promise<void> {
  const backend = await openBackend();
  const access = await Promise.all(accounts.map(async (id) => await backend.account(id)));
  process.once('message', () => void backend.close().then(() => process.exit()));
  process.send?.(access);
}

async function speak(order: SoakOrder): Promise<void> {
  const { calls, seconds, seed } = order;
  const random = randomFrom(seed);
  const voice = new LeanVoice();
  const live = new Set<LeanCall>();
  const reports: LeanReport[] = [];
  const untilMs = performance.now() + seconds * 1000;
  const beating = setInterval(() => {
    const nowMs = performance.now();
    for (const call of live) call.beat(nowMs);
  }, beatMs);
  const line = async (): Promise<void> => {
    // Over four seconds, so that they don't all take their turn in the same millisecond.
    await sleep(random() * 4000);
    while (performance.now() < untilMs) {
      const call = new LeanCall(chosen(order, random), voice);
      live.add(call);
      const report = await call.ended;
      live.delete(call);
      reports.push(report);
      // A daemon that refuses is not to be stormed.
      if (report.broken !== null) await sleep(500);
    }
  };
  const lines = Array.from({ length: calls }, line);
  await sleep(seconds * 1000);
  for (const call of live) call.hangUp();
  await Promise.all(lines);
  clearInterval(beating);
  process.send?.(reports);
}

function chosen({ origin, accounts, meanSeconds }: SoakOrder, random: () => number) {
  const account = accounts[Math.floor(random() * accounts.length)] ?? '';
  const isLong = random() < longShare;
  const shortMean = (meanSeconds * (1 - longShare * longTimes)) / (1 - longShare);
  const mean = isLong ? meanSeconds * longTimes : shortMean;
  // Between almost nothing and twice the mean.
  const frames = Math.max(1, Math.round(random() * 2 * mean * 50));
  const provider = random() < 0.5 ? 'twilio' : 'jambonz';
  return { origin, provider, accountId: account, frames, vanishes: random() < vanishingShare } as const;
}
