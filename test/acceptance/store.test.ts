import { join } from 'node:path';
import t from 'tap';
import { uploadSteps, type UploadStep } from '../../src/storage/UploadStep.js';
import { dieAtEveryStep, type KillPointCase } from './killPoints.js';
import { playSchedules } from './playSchedules.js';
import { TestServer } from './TestServer.js';

/*
 * The small run of the store's oracle; the whole one is `npm run test:store`. It kills the daemon at every step once, and plays
 * a few schedules that are others every day.
 */
const server = await TestServer.open();
t.teardown(() => server.close());
const dir = t.testdir();

/** Every step, in one of the layouts that have it. The whole run tries each in all of them. */
const steps: Partial<Record<KillPointCase, readonly UploadStep[]>> = {
  chunks: [
    'chunk_put',
    'chunk_noted',
    'chunk_unlinked',
    'sidecar_put',
    'final_written',
    'manifest_put',
    'manifest_noted',
    'folder_removed',
  ],
  single: ['multipart_noted', 'multipart_begun', 'part_put', 'part_noted'],
  both: ['completing', 'completed', 'audio_noted'],
  mp3: ['portal_noted', 'portal_put'],
};

void t.test('dying at any step of an upload leaves nothing lost, doubled or forgotten', async (t) => {
  const cases = Object.entries(steps) as [KillPointCase, readonly UploadStep[]][];
  t.same(cases.flatMap(([, each]) => each).toSorted(), uploadSteps.toSorted(), 'no step is left out');
  const reports = await Promise.all(
    cases.map(([kind, each]) => dieAtEveryStep(kind, server, join(dir, kind), each)),
  );
  for (const { kind, reached, problems } of reports) {
    t.same(problems, []);
    t.same(reached, steps[kind], `${kind}: every step was died at`);
  }
});

void t.test('random faults and deaths leave nothing lost, doubled or forgotten', async (t) => {
  const first = Number(new Date().toISOString().slice(2, 10).replaceAll('-', '')) * 1000 + 900;
  const seeds = Array.from({ length: 6 }, (_none, at) => first + at);
  t.comment(`seeds ${first} to ${first + 5}`);
  const { problems, samples, faults } = await playSchedules(seeds, server, join(dir, 'seeds'));
  t.same(problems, []);
  t.ok(samples > 0);
  t.ok(faults.size > 0, 'there were faults');
});
