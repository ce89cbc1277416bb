import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { readStoredCall } from '../../test/acceptance/StoredCall.js';
import type { Arm, Fault } from './Fault.js';
import { frameProblems } from './frameProblems.js';
import type { LatencyWindow } from './Party.js';
import type { PartyCallReport } from './PartyMessage.js';
import { recordingLoss } from './RecordingLoss.js';
import { recorded, type Scene } from './Scene.js';

export interface Timing {
  readonly pairs: number;
  /** ms. */
  readonly windowMs: number;
  /** Between two windows, after the daemon is itself again. */
  readonly settleMs: number;
  /** The calls begin over this time. */
  readonly overMs: number;
  /** Between the calls' begin and the first window. */
  readonly warmMs: number;
}

export type Pair = Readonly<Record<Arm, LatencyWindow>>;

export interface RowResult {
  readonly name: string;
  readonly pairs: readonly Pair[];
  readonly calls: number;
  readonly lostFrames: number;
  readonly reorderedFrames: number;
  /** In recordings, both channels. */
  readonly lostSamples: number;
  readonly gaps: ReadonlyMap<string, number>;
  readonly evidence: string;
  /** Whatever is a failure at any latency. */
  readonly problems: readonly string[];
}

const group = 'measured';
const dropsMetric = 'reelay_tap_dropped_frames_total';

/** Runs one row: its calls, pairs of windows, and the check of every recording once the calls are over. */
export async function runRow(fault: Fault, scene: Scene, timing: Timing): Promise<RowResult> {
  const { party, daemon, options } = scene;
  await fault.prepare?.(scene);
  const dropsBefore = await daemon.metric(dropsMetric);
  const order = {
    group,
    url: scene.media,
    accountSid: recorded,
    calls: options.calls,
    overMs: timing.overMs,
  };
  const { up, refusals } = await party.ask({ type: 'open', ...order, measured: true });
  const problems: string[] = [];
  if (up !== options.calls)
    problems.push(`${up} of ${options.calls} calls are up; ${JSON.stringify(refusals[0])}`);
  await sleep(timing.warmMs);
  const pairs: Pair[] = [];
  for (let pair = 0; pair < timing.pairs; pair += 1) {
    pairs.push(await runPair(fault, scene, timing, pair % 2 === 0 ? ['calm', 'fault'] : ['fault', 'calm']));
  }
  const reports = await party.ask({ type: 'hangUp', group });
  for (const report of reports) problems.push(...frameProblems(report));
  const evidence = await evidenceOf(fault, scene).catch((error: unknown) => {
    problems.push((error as Error).message);
    return 'did not happen as it should';
  });
  const recordings = await checkRecordings(scene, reports);
  problems.push(...recordings.problems);
  const drops = (await daemon.metric(dropsMetric)) - dropsBefore;
  problems.push(...gapProblems(fault, recordings.gaps, drops));
  const sum = (of: (report: PartyCallReport) => number): number =>
    reports.reduce((total, report) => total + of(report), 0);
  return {
    name: fault.name,
    pairs,
    calls: reports.length,
    lostFrames: sum((each) => each.up.lost + each.down.lost),
    reorderedFrames: sum((each) => each.up.reordered + each.down.reordered),
    ...recordings,
    evidence,
    problems,
  };
}

async function evidenceOf(fault: Fault, scene: Scene): Promise<string> {
  return await fault.evidence(scene);
}

async function runPair(fault: Fault, scene: Scene, timing: Timing, arms: readonly Arm[]): Promise<Pair> {
  const windows = new Map<Arm, LatencyWindow>();
  for (const arm of arms) {
    await fault.before?.(scene, arm);
    await sleep(timing.settleMs);
    const window = await scene.party.measure(async () => {
      if (arm === 'fault') await fault.begin(scene, timing.windowMs);
      await sleep(timing.windowMs);
    });
    if (arm === 'fault') await fault.end(scene);
    await fault.after?.(scene, arm);
    windows.set(arm, window);
  }
  const [calm, faulty] = [windows.get('calm'), windows.get('fault')];
  if (calm === undefined || faulty === undefined) throw new Error('a pair has two windows');
  return { calm, fault: faulty };
}

/** No gap without a drop that the daemon counted, and none of another cause. */
function gapProblems(fault: Fault, gaps: ReadonlyMap<string, number>, drops: number): string[] {
  const problems: string[] = [];
  for (const [cause, samples] of gaps) {
    const isAllowed = fault.mayDrop === true && cause === 'dropped_by_reelay' && drops > 0;
    if (!isAllowed)
      problems.push(`recordings have gaps of ${samples} samples: ${cause}, with ${drops} drops counted`);
  }
  if (drops > 0 && fault.mayDrop !== true)
    problems.push(`${drops} records were dropped in front of the recorder`);
  return problems;
}

async function checkRecordings(
  scene: Scene,
  reports: readonly PartyCallReport[],
): Promise<Pick<RowResult, 'lostSamples' | 'gaps' | 'problems'>> {
  const gaps = new Map<string, number>();
  const problems: string[] = [];
  let lostSamples = 0;
  if (scene.store !== null) {
    await scene.allStored();
    await scene.store.fetch();
  }
  for (const report of reports) {
    try {
      const folder = await scene.recordingOf(report.callSid);
      const loss = recordingLoss(await readStoredCall(folder), report);
      lostSamples += loss.lostSamples;
      for (const [cause, samples] of loss.gaps) gaps.set(cause, (gaps.get(cause) ?? 0) + samples);
      problems.push(...loss.problems.map((problem) => `${report.callSid}: ${problem}`));
      if (loss.problems.length === 0) for (const path of folder.paths) await rm(path, { recursive: true });
    } catch (error) {
      problems.push(`${report.callSid}: ${(error as Error).message}`);
    }
  }
  return { lostSamples, gaps, problems };
}
