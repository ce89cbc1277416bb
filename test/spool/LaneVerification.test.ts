import { createHash } from 'node:crypto';
import { appendFile, copyFile, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Gap, Manifest, Sidecar } from '../../src/spool/Manifest.js';
import { RecordingFolder } from '../../src/spool/RecordingFolder.js';
import { type FindingCode, verify } from '../../src/spool/Verification.js';
import { fabricateRecording } from '../fixtures/recording.js';

const lanes = { alice: [0, 1, 2], bob: [1] };

async function edit(path: string, change: (document: Manifest & Sidecar) => unknown): Promise<string> {
  // Only what both have, or the one has that it is.
  const document = JSON.parse(await readFile(path, 'utf8')) as Manifest & Sidecar;
  change(document);
  const text = JSON.stringify(document);
  await writeFile(path, text);
  return createHash('sha256').update(text).digest('hex');
}

/** Edits a sidecar and enters its new hash in the manifest. */
async function editSidecar(folder: string, change: (document: Sidecar) => unknown): Promise<void> {
  const sidecarSha256 = await edit(join(folder, '1-metadata.json'), change);
  await edit(join(folder, 'manifest.json'), ({ chunks }) =>
    Object.assign(chunks[1] ?? {}, { sidecarSha256 }),
  );
}

const gap: Gap = { channel: 0, startSample: 8000, samples: 100, cause: 'room_left' };

const damages: [string, FindingCode[], (folder: string) => Promise<unknown>][] = [
  ['nothing wrong', [], () => Promise.resolve()],
  ['a file that is gone', ['lane_missing'], (folder) => rm(join(folder, '1-bob.wav'))],
  [
    'one too many',
    ['lane_unlisted'],
    (folder) => copyFile(join(folder, '1-bob.wav'), join(folder, '2-bob.wav')),
  ],
  [
    'a file of a chunk that isn’t there',
    ['chunk_unlisted'],
    (folder) => copyFile(join(folder, '1-bob.wav'), join(folder, '7-bob.wav')),
  ],
  ['one that was cut', ['wav_truncated'], (folder) => truncate(join(folder, '1-bob.wav'), 100)],
  ['one that is longer', ['wav_overlong'], (folder) => appendFile(join(folder, '1-bob.wav'), 'more')],
  [
    'other samples',
    ['lane_hash_wrong'],
    async (folder) => {
      const bytes = await readFile(join(folder, '1-bob.wav'));
      bytes[100] = (bytes[100] ?? 0) ^ 1;
      await writeFile(join(folder, '1-bob.wav'), bytes);
    },
  ],
  [
    'two that were exchanged',
    ['lane_hash_wrong', 'lane_hash_wrong'],
    async (folder) => {
      await rename(join(folder, '1-bob.wav'), join(folder, 'x'));
      await rename(join(folder, '1-alice.wav'), join(folder, '1-bob.wav'));
      await rename(join(folder, 'x'), join(folder, '1-alice.wav'));
    },
  ],
  [
    'a sidecar that leaves one out',
    ['lanes_differ'],
    (folder) =>
      editSidecar(folder, (sidecar) => Object.assign(sidecar, { lanes: sidecar.lanes?.slice(0, 1) })),
  ],
  [
    'another identity',
    ['lanes_differ'],
    (folder) =>
      editSidecar(folder, ({ lanes: [, bob] = [] }) => Object.assign(bob ?? {}, { identity: 'mallory' })),
  ],
  [
    'a gap that the manifest doesn’t know',
    ['gaps_differ'],
    (folder) => editSidecar(folder, ({ lanes: [, bob] = [] }) => Object.assign(bob ?? {}, { gaps: [gap] })),
  ],
  [
    'a gap outside of the chunk',
    ['gap_outside', 'gaps_differ'],
    (folder) =>
      editSidecar(folder, ({ lanes: [, bob] = [] }) =>
        Object.assign(bob ?? {}, { gaps: [{ ...gap, startSample: 7999 }] }),
      ),
  ],
  [
    'gaps that overlap',
    ['gap_overlap', 'gaps_differ'],
    (folder) =>
      editSidecar(folder, ({ lanes: [, bob] = [] }) => Object.assign(bob ?? {}, { gaps: [gap, gap] })),
  ],
  [
    'a growing file that was left behind',
    ['unfinished_chunk'],
    (folder) => copyFile(join(folder, '1-bob.wav'), join(folder, '3-bob.wav.open')),
  ],
  [
    'a lane whose name is a path',
    ['manifest_invalid'],
    (folder) =>
      edit(join(folder, 'manifest.json'), ({ lanes: [alice] = [] }) =>
        Object.assign(alice ?? {}, { lane: '../alice' }),
      ),
  ],
];

void t.test('what is wrong with the lanes of a room is found', async (t) => {
  for (const [name, codes, damage] of damages) {
    await t.test(name, async (t) => {
      const { folder } = await fabricateRecording(t.testdir({}), { lanes });
      await damage(folder);
      const findings = verify(await new RecordingFolder([folder]).read());
      t.strictSame(findings.map(({ code }) => code).sort(), [...codes].sort(), JSON.stringify(findings));
    });
  }
});
