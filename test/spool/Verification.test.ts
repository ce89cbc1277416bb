import { readFileSync } from 'node:fs';
import { appendFile, copyFile, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { RecordingFolder } from '../../src/spool/RecordingFolder.js';
import { type FindingCode, findingCodes, verify } from '../../src/spool/Verification.js';
import { type Fabrication, fabricateRecording } from '../fixtures/recording.js';
import { keepWav } from '../fixtures/keepWav.js';

type Json = Record<string, unknown>;

async function codesIn(folder: string): Promise<FindingCode[]> {
  return verify(await new RecordingFolder([folder]).read()).map((finding) => finding.code);
}

async function editJson(path: string, edit: (document: Json) => void): Promise<string> {
  const document = JSON.parse(await readFile(path, 'utf8')) as Json;
  edit(document);
  const text = JSON.stringify(document);
  await writeFile(path, text);
  return createHash('sha256').update(text).digest('hex');
}

async function editBytes(path: string, edit: (bytes: Buffer) => void): Promise<void> {
  const bytes = await readFile(path);
  edit(bytes);
  await writeFile(path, bytes);
}

function listOf(document: Json, key: string): Json[] {
  return document[key] as Json[];
}

/** Edits a sidecar and enters its new hash in the manifest, as somebody would who knows the format. */
async function editSidecar(folder: string, index: number, edit: (document: Json) => void): Promise<void> {
  const sidecarSha256 = await editJson(join(folder, `${index}-metadata.json`), edit);
  await editManifest(folder, (manifest) => {
    Object.assign(listOf(manifest, 'chunks')[index] ?? {}, { sidecarSha256 });
  });
}

async function editManifest(folder: string, edit: (document: Json) => void): Promise<void> {
  await editJson(join(folder, 'manifest.json'), edit);
}

/** Of a room. */
const lanes = { alice: [0, 1, 2], bob: [1] };
const audio = 'audio.wav';
const first = (manifest: Json) => listOf(manifest, 'audio')[0] ?? {};
/** Of a recording with layout single. */
const audioDamages: [string, FindingCode[], (folder: string) => Promise<unknown>][] = [
  ['cut in its header', ['audio_truncated'], (folder) => truncate(join(folder, audio), 50)],
  ['cut in the second chunk', ['audio_truncated'], (folder) => truncate(join(folder, audio), 80 + 40_000)],
  ['longer', ['audio_overlong'], (folder) => appendFile(join(folder, audio), 'more')],
  [
    'no WAV',
    ['wav_invalid', 'audio_hash_wrong'],
    (folder) => editBytes(join(folder, audio), (wav) => wav.write('RF64')),
  ],
  [
    'one of another rate',
    ['wav_format_wrong', 'audio_hash_wrong'],
    (folder) => editBytes(join(folder, audio), (wav) => wav.writeUInt32LE(16_000, 60)),
  ],
  [
    'one whose header was never finished',
    ['wav_header_wrong', 'audio_hash_wrong'],
    (folder) => editBytes(join(folder, audio), (wav) => wav.writeUInt32LE(0, 76)),
  ],
  [
    'changed in one sample',
    ['audio_chunk_wrong', 'audio_hash_wrong'],
    (folder) => editBytes(join(folder, audio), (wav) => wav.writeInt16LE(1, 80 + 40_000)),
  ],
  [
    'put together in another order, and noted so',
    ['audio_chunk_wrong', 'audio_chunk_wrong'],
    async (folder) => {
      const wav = await readFile(join(folder, audio));
      const slice = (at: number) => wav.subarray(80 + at * 32_000, 80 + (at + 1) * 32_000);
      const turned = Buffer.concat([wav.subarray(0, 80), slice(1), slice(0), slice(2)]);
      await writeFile(join(folder, audio), turned);
      const sha256 = createHash('sha256').update(turned).digest('hex');
      await editManifest(folder, (manifest) => Object.assign(first(manifest), { sha256 }));
    },
  ],
  ['without it', ['audio_missing'], (folder) => rm(join(folder, audio))],
  [
    'without being listed',
    ['chunk_missing', 'chunk_missing', 'chunk_missing', 'audio_missing'],
    (folder) => editManifest(folder, (manifest) => delete manifest['audio']),
  ],
  [
    'in a place of somebody else',
    ['audio_missing', 'audio_key_wrong'],
    (folder) =>
      editManifest(folder, (manifest) =>
        Object.assign(first(manifest), { key: '../../../../../../etc/passwd.wav' }),
      ),
  ],
  [
    'of another length than the chunks',
    ['manifest_sums_wrong'],
    (folder) => editManifest(folder, (manifest) => Object.assign(first(manifest), { bytes: 80 })),
  ],
  [
    'with a chunk beside it',
    ['chunk_unexpected', 'wav_truncated'],
    (folder) => writeFile(join(folder, '1-audio.wav'), 'x'),
  ],
];

await t.test('recordings that nobody touched are whole', async (t) => {
  const gap = { channel: 0, startSample: 7900, samples: 200, cause: 'lost_by_provider' } as const;
  const shapes: [string, Fabrication][] = [
    ['three full chunks', {}],
    ['a short last chunk', { lastSamples: 123 }],
    ['one channel at 16 kHz', { channels: 1, rate: 16_000 }],
    ['a gap over a chunk edge', { gaps: [gap, { ...gap, startSample: 100 }, { ...gap, channel: 1 }] }],
    ['48 kHz with an odd number of samples', { rate: 48_000, lastSamples: 1 }],
    ['an interrupted call', { state: 'interrupted', reason: 'killed', lastSamples: 160 }],
    ['chunks on their way to the store', { state: 'uploading' }],
    ['a call in which nothing came', { chunks: 0 }],
    ['one file for the call', { layout: 'single', lastSamples: 5 }],
    ['one file for the call and its chunks', { layout: 'both', channels: 1 }],
    ['what the portal looks for, and the audio', { layout: 'jambonz' }],
    ['what the portal looks for, which is the audio', { layout: 'jambonz', portalFormat: 'wav' }],
    ['one file for a call in which nothing came', { layout: 'single', chunks: 0 }],
  ];
  for (const [name, shape] of shapes) {
    const { folder, manifest } = await fabricateRecording(t.testdir(), shape);
    t.same(await codesIn(folder), [], name);
    if (manifest.chunks.length > 0 && !['single', 'jambonz'].includes(manifest.layout ?? ''))
      await keepWav(join(folder, '0-audio.wav'));
  }
});

await t.test('every kind of damage is found under its own code', async (t) => {
  const damages: [FindingCode, string, (folder: string) => Promise<void>, Fabrication?][] = [
    ['manifest_missing', 'no manifest', (folder) => rm(join(folder, 'manifest.json'))],
    ['manifest_invalid', 'a torn manifest', (folder) => truncate(join(folder, 'manifest.json'), 300)],
    [
      'manifest_invalid',
      'a manifest without a state',
      (folder) => editManifest(folder, (manifest) => delete manifest['state']),
    ],
    [
      'manifest_sums_wrong',
      'a total that is too large',
      (folder) => editManifest(folder, (manifest) => Object.assign(manifest, { durationSeconds: 3.5 })),
    ],
    [
      'manifest_sums_wrong',
      'a chunk with an impossible size',
      (folder) =>
        editManifest(folder, (manifest) => Object.assign(listOf(manifest, 'chunks')[0] ?? {}, { bytes: 45 })),
    ],
    [
      'chunk_hash_wrong',
      'one flipped bit',
      (folder) =>
        editBytes(join(folder, '1-audio.wav'), (bytes) => {
          bytes[5000] = (bytes[5000] ?? 0) ^ 1;
        }),
    ],
    ['chunk_missing', 'a missing WAV', (folder) => rm(join(folder, '1-audio.wav'))],
    ['chunk_swapped', 'two WAVs that changed places', (folder) => swap(folder, '0-audio.wav', '1-audio.wav')],
    ['wav_truncated', 'a truncated WAV', (folder) => truncate(join(folder, '2-audio.wav'), 4001)],
    ['wav_truncated', 'a WAV cut inside its header', (folder) => truncate(join(folder, '2-audio.wav'), 20)],
    ['wav_truncated', 'an empty WAV', (folder) => truncate(join(folder, '2-audio.wav'), 0)],
    ['wav_overlong', 'bytes behind the end', (folder) => truncate(join(folder, '2-audio.wav'), 64_000)],
    [
      'wav_header_wrong',
      'a data size of 0, as a writer leaves it that never came back',
      (folder) => editBytes(join(folder, '0-audio.wav'), (bytes) => bytes.writeUInt32LE(0, 40)),
    ],
    [
      'wav_header_wrong',
      'a RIFF size that is off by one',
      (folder) => editBytes(join(folder, '0-audio.wav'), (bytes) => bytes.writeUInt32LE(bytes.length - 7, 4)),
    ],
    [
      'wav_format_wrong',
      'a header with another rate',
      (folder) => editBytes(join(folder, '0-audio.wav'), (bytes) => bytes.writeUInt32LE(16_000, 24)),
    ],
    [
      'wav_invalid',
      'a file that is not a WAV',
      (folder) => editBytes(join(folder, '0-audio.wav'), (bytes) => bytes.write('OggS')),
    ],
    ['sidecar_missing', 'no sidecar', (folder) => rm(join(folder, '1-metadata.json'))],
    ['sidecar_invalid', 'a torn sidecar', (folder) => truncate(join(folder, '1-metadata.json'), 50)],
    [
      'sidecar_hash_wrong',
      'an edited sidecar',
      async (folder) => {
        await editJson(join(folder, '1-metadata.json'), (sidecar) =>
          Object.assign(sidecar, { note: 'mine' }),
        );
      },
    ],
    [
      'sidecar_differs',
      'a sidecar of another call',
      (folder) => editSidecar(folder, 1, (sidecar) => Object.assign(sidecar, { callId: 'CA2' })),
    ],
    [
      'chain_broken',
      'a chain that begins in the middle',
      (folder) => editSidecar(folder, 1, (sidecar) => Object.assign(sidecar, { previousSha256: null })),
    ],
    [
      'chunk_time_wrong',
      'a chunk that starts at another time',
      (folder) =>
        editSidecar(folder, 1, (sidecar) =>
          Object.assign(sidecar, { startTime: '2026-11-20T12:00:01.500Z' }),
        ),
    ],
    [
      'chunk_position_wrong',
      'a hole between two chunks',
      (folder) =>
        editManifest(folder, (manifest) =>
          Object.assign(listOf(manifest, 'chunks')[1] ?? {}, { startSample: 8001 }),
        ),
    ],
    [
      'chunk_order_wrong',
      'chunks that are listed in another order',
      (folder) => editManifest(folder, (manifest) => listOf(manifest, 'chunks').reverse()),
    ],
    [
      'chunk_length_wrong',
      'chunks shorter than the manifest says',
      (folder) => editManifest(folder, (manifest) => Object.assign(manifest, { chunkSeconds: 2 })),
    ],
    [
      'chunk_unlisted',
      'a chunk too many',
      (folder) => copyFile(join(folder, '0-audio.wav'), join(folder, '3-audio.wav')),
    ],
    [
      'unfinished_chunk',
      'a growing chunk of a finished recording',
      () => Promise.resolve(),
      { openSamples: 80 },
    ],
    ['not_finished', 'a call that goes on', () => Promise.resolve(), { state: 'recording', openSamples: 80 }],
    [
      'failed',
      'a failed recording',
      () => Promise.resolve(),
      { state: 'failed', reason: 'no_store', chunks: 0 },
    ],
    [
      'gap_outside',
      'a gap behind the end',
      (folder) => addGap(folder, { channel: 1, startSample: 7990, samples: 11 }),
    ],
    [
      'gap_outside',
      'a third channel',
      (folder) => addGap(folder, { channel: 2, startSample: 0, samples: 1 }),
    ],
    [
      'gap_outside',
      'a gap of nothing',
      (folder) => addGap(folder, { channel: 0, startSample: 0, samples: 0 }),
    ],
    [
      'gap_overlap',
      'two gaps over the same samples',
      (folder) => addGap(folder, { channel: 0, startSample: 149, samples: 10 }),
      { gaps: [{ channel: 0, startSample: 100, samples: 50, cause: 'lost_by_provider' }] },
    ],
    [
      'gaps_differ',
      'a gap that the manifest hides',
      (folder) =>
        editManifest(folder, (manifest) => Object.assign(manifest, { gaps: [], completeness: [1, 1] })),
      { gaps: [{ channel: 0, startSample: 100, samples: 50, cause: 'lost_by_provider' }] },
    ],
    [
      'completeness_wrong',
      'a completeness that flatters',
      (folder) => editManifest(folder, (manifest) => Object.assign(manifest, { completeness: [1, 1] })),
      { gaps: [{ channel: 0, startSample: 100, samples: 50, cause: 'lost_by_provider' }] },
    ],
    ['lane_missing', 'a lane’s file that is gone', (folder) => rm(join(folder, '1-bob.wav')), { lanes }],
    [
      'lane_unlisted',
      'a lane’s file too many',
      (folder) => copyFile(join(folder, '1-bob.wav'), join(folder, '2-bob.wav')),
      { lanes },
    ],
    [
      'lane_hash_wrong',
      'other samples of a lane',
      (folder) => editBytes(join(folder, '1-bob.wav'), (wav) => wav.writeInt16LE(7, 100)),
      { lanes },
    ],
    [
      'lanes_differ',
      'a lane that the sidecar leaves out',
      (folder) => editSidecar(folder, 1, (sidecar) => void listOf(sidecar, 'lanes').pop()),
      { lanes },
    ],
    [
      'duration_wrong',
      'a call that took longer than its audio',
      (folder) =>
        editManifest(folder, (manifest) => Object.assign(manifest, { endTime: '2026-11-20T12:00:03.101Z' })),
    ],
  ];
  for (const [code, name, damage, shape] of damages) {
    const { folder } = await fabricateRecording(t.testdir(), shape);
    await damage(folder);
    t.ok((await codesIn(folder)).includes(code), `${name} gives ${code}`);
  }
  // Those of signatures need a key to be asked for: signed.test.ts.
  const signed: FindingCode[] = ['signature_missing', 'signature_wrong'];
  const own = damages.map(([code]) => code);
  const provoked = new Set([...own, ...audioDamages.flatMap(([, codes]) => codes), ...signed]);
  t.same(
    Object.keys(findingCodes).filter((code) => !provoked.has(code as FindingCode)),
    [],
    'no code is untested',
  );
});

await t.test('a call in one file is checked like its chunks', async (t) => {
  for (const [name, codes, damage] of audioDamages) {
    const { folder } = await fabricateRecording(t.testdir(), { layout: 'single' });
    await damage(folder);
    t.same((await codesIn(folder)).sort(), [...codes].sort(), name);
  }
});

await t.test('what the portal looks for is checked too', async (t) => {
  const dir = t.testdir();
  const portalOf = (folder: string) => join(folder, '..', '..', '..', '..', '2026', '11', '20');
  const fabricate = async (name: string) => {
    const { folder, manifest } = await fabricateRecording(join(dir, name), { layout: 'jambonz' });
    return { folder, portal: join(portalOf(folder), `${manifest.callId}.mp3`), callId: manifest.callId };
  };
  const changed = await fabricate('one');
  await editBytes(changed.portal, (mp3) => mp3.write('MP3'));
  t.same(await codesIn(changed.folder), ['audio_hash_wrong']);
  await truncate(changed.portal, 3);
  t.same(await codesIn(changed.folder), ['audio_truncated']);
  await rm(changed.portal);
  t.same(await codesIn(changed.folder), ['audio_missing']);
  await editManifest(changed.folder, (manifest) => listOf(manifest, 'audio').pop());
  t.same(await codesIn(changed.folder), ['audio_missing'], 'nor may the manifest leave it out');
  const second = await fabricate('two');
  await rename(second.portal, second.portal.replace('.mp3', '-2.mp3'));
  await editManifest(second.folder, (manifest) => {
    const entry = listOf(manifest, 'audio')[1] ?? {};
    Object.assign(entry, { key: `2026/11/20/${second.callId}-2.mp3` });
  });
  t.same(await codesIn(second.folder), [], 'a second recording of the call has a name of its own');
  await editManifest(second.folder, (manifest) => {
    Object.assign(listOf(manifest, 'audio')[1] ?? {}, { key: '2026/11/20/CA-somebody-else.mp3' });
  });
  t.same(await codesIn(second.folder), ['audio_missing', 'audio_key_wrong']);
});

await t.test('a call in one file has its chunks until it is stored', async (t) => {
  const { folder } = await fabricateRecording(t.testdir(), { layout: 'both' });
  const undone = (state: string) =>
    editManifest(folder, (manifest) => {
      delete manifest['audio'];
      Object.assign(manifest, { layout: 'single', state });
    });
  await undone('uploading');
  t.same(await codesIn(folder), []);
  await undone('complete');
  t.same(await codesIn(folder), ['audio_missing']);
  const stored = await fabricateRecording(t.testdir(), { layout: 'both' });
  await editManifest(stored.folder, (manifest) => Object.assign(manifest, { layout: 'single' }));
  t.same(await codesIn(stored.folder), ['chunk_unexpected', 'chunk_unexpected', 'chunk_unexpected']);
  await writeFile(join(stored.folder, 'upload.json'), '{}');
  t.same(await codesIn(stored.folder), [], 'nor are they too much while they leave the spool');
});

await t.test('whatever a manifest says, there is an answer', async (t) => {
  const { folder, manifest } = await fabricateRecording(t.testdir(), { layout: 'both' });
  const places = placesIn(manifest);
  const odd = [0, -1, 1, 2 ** 32, Number.MAX_SAFE_INTEGER, 0.5, 1e300, '', 'x', null, [], {}, true];
  const change = fc.tuple(fc.constantFrom(...places), fc.constantFrom(...odd));
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
      const copy = structuredClone(manifest) as unknown as Json;
      for (const [path, value] of changes) put(copy, path, value);
      await writeFile(join(folder, 'manifest.json'), JSON.stringify(copy));
      t.type((await codesIn(folder)).length, 'number');
    }),
    { numRuns: 150, seed: 7 },
  );
  await writeFile(join(folder, 'manifest.json'), '['.repeat(1_000_000));
  t.same(await codesIn(folder), ['manifest_invalid']);
  await truncate(join(folder, 'manifest.json'), 65 * 2 ** 20);
  t.same(await codesIn(folder), ['manifest_invalid']);
});

await t.test('one damage is one finding where it has one cause', async (t) => {
  for (const bytes of [0, 43, 44, 4001, 32_043]) {
    const { folder } = await fabricateRecording(t.testdir());
    await truncate(join(folder, '1-audio.wav'), bytes);
    t.same(await codesIn(folder), ['wav_truncated'], `cut to ${bytes} bytes`);
  }
  const { folder } = await fabricateRecording(t.testdir());
  await swap(folder, '0-audio.wav', '2-audio.wav');
  t.same(await codesIn(folder), ['chunk_swapped', 'chunk_swapped']);
});

await t.test('the end of a call may be noticed up to 100 ms late', async (t) => {
  const { folder } = await fabricateRecording(t.testdir());
  await editManifest(folder, (manifest) => Object.assign(manifest, { endTime: '2026-11-20T12:00:03.100Z' }));
  t.same(await codesIn(folder), []);
});

await t.test('a call that goes on may be one sealed chunk ahead of its manifest', async (t) => {
  const { folder } = await fabricateRecording(t.testdir(), { state: 'recording', openSamples: 80 });
  await editManifest(folder, (manifest) => {
    listOf(manifest, 'chunks').pop();
    Object.assign(manifest, { samples: 16_000, durationSeconds: 2 });
  });
  t.same(await codesIn(folder), ['not_finished']);
});

await t.test('the documentation lists the findings that exist', (t) => {
  const page = readFileSync('docs/recordings.md', 'utf8');
  const documented = [...page.matchAll(/^\| `([a-z_]+)` +\| [A-Z]/gm)].map((match) => match[1]);
  t.same(documented.sort(), Object.keys(findingCodes).sort());
  t.end();
});

/** Every place of a document, as the keys that lead to it. */
function placesIn(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, each]) => [[...path, key], ...placesIn(each, [...path, key])]);
}

function put(document: Json, [key = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) document[key] = value;
  else if (typeof document[key] === 'object' && document[key] !== null)
    put(document[key] as Json, rest, value);
}

async function swap(folder: string, one: string, other: string): Promise<void> {
  await rename(join(folder, one), join(folder, 'swapped'));
  await rename(join(folder, other), join(folder, one));
  await rename(join(folder, 'swapped'), join(folder, other));
}

/** Adds a gap to the first chunk and to the manifest alike. */
async function addGap(folder: string, gap: Json): Promise<void> {
  const whole = { ...gap, cause: 'lost_by_provider' };
  await editSidecar(folder, 0, (sidecar) => listOf(sidecar, 'gaps').push(whole));
  await editManifest(folder, (manifest) => listOf(manifest, 'gaps').push(whole));
}
