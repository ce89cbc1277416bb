import { setTimeout as sleep } from 'node:timers/promises';
import type { UploadStep } from '../../src/storage/UploadStep.js';
import type { StoreBackend } from './StoreBackend.js';
import { StoreRun, type CallShape } from './StoreRun.js';

const chunkSteps: readonly UploadStep[] = ['chunk_put', 'chunk_noted'];
const partSteps: readonly UploadStep[] = [
  'multipart_noted',
  'multipart_begun',
  'part_put',
  'part_noted',
  'completing',
  'completed',
  'audio_noted',
];
const everySteps: readonly UploadStep[] = [
  'sidecar_put',
  'chunk_unlinked',
  'final_written',
  'manifest_put',
  'manifest_noted',
  'folder_removed',
];

/** Which steps there are on the way of a call, by what becomes of it. */
export const killPointsOf = {
  chunks: [...chunkSteps, ...everySteps],
  single: [...partSteps, ...everySteps],
  both: [...chunkSteps, ...partSteps, ...everySteps],
  mp3: [...partSteps, 'portal_noted', 'portal_put', ...everySteps],
  wav: ['portal_noted', 'portal_put', 'audio_noted', ...everySteps],
} as const satisfies Record<string, readonly UploadStep[]>;

export type KillPointCase = keyof typeof killPointsOf;

/** What came of one case: every step was reached by a call of its own. */
export interface KillPointReport {
  readonly kind: KillPointCase;
  readonly reached: readonly UploadStep[];
  readonly problems: readonly string[];
}

/** A call that fills three parts of 5 MiB. */
const long: CallShape = { record: false, sampleRate: 48_000, seconds: 56, speed: 40 };
const brief: CallShape = { record: false, sampleRate: 8000, seconds: 6, speed: 120 };
/** How long a step may be waited for, ms. */
const patienceMs = 60_000;

/** Has the daemon kill itself at one step after the other, each time with a new call, and looks for what is missing. */
export async function dieAtEveryStep(
  kind: KillPointCase,
  backend: StoreBackend,
  dir: string,
  steps: readonly UploadStep[] = killPointsOf[kind],
): Promise<KillPointReport> {
  const isRecord = kind === 'mp3' || kind === 'wav';
  const layout = isRecord ? 'chunks' : kind;
  const run = await StoreRun.open({
    dir,
    backend,
    layout,
    chunkSeconds: 10,
    tenants: [`points-${kind}`],
    clockSpeed: 30,
    recordFormat: kind === 'mp3' ? 'mp3' : 'wav',
  });
  const reached: UploadStep[] = [];
  const problems: string[] = [];
  try {
    const [tenant] = run.tenants;
    for (const step of steps) {
      // What the life before has left reaches some of the steps before any call can be made.
      if ((await run.live(step)) && tenant !== undefined) {
        run.call(tenant, { ...(partSteps.includes(step) ? long : brief), record: isRecord });
        await Promise.race([run.daemon.gone(), sleep(patienceMs, undefined, { ref: false })]);
      }
      if (run.daemon.alive) problems.push(`${kind}: ${step} was never reached`);
      else reached.push(step);
      await run.die();
    }
    await run.live();
    await run.settle();
    problems.push(...(await run.judge()).map((problem) => `${kind}: ${problem}`));
    return { kind, reached, problems };
  } catch (error) {
    for (const line of run.daemon.logged(40).slice(-20)) console.log(JSON.stringify(line));
    throw error;
  } finally {
    await run.close();
  }
}
