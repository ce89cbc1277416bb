import { createHash } from 'node:crypto';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import t, { type Test } from 'tap';
import { ApiBench, bytesOf } from '../fixtures/ApiBench.js';
import { fabricateRecording, lanePcm, wavOf, type FabricatedRecording } from '../fixtures/recording.js';

/** Three chunks of a second: bob is there in the second one alone. */
const room = { lanes: { alice: [0, 1, 2], bob: [1] }, channels: 1, lastSamples: 300 } as const;

/** What a lane has to be over the whole recording. */
function laneOf({ manifest }: FabricatedRecording, lane: string, there: readonly number[]): Int16Array {
  const pcm = new Int16Array(manifest.samples);
  for (const { index, startSample, samples } of manifest.chunks)
    if (there.includes(index)) pcm.set(lanePcm(lane, startSample, samples), startSample);
  return pcm;
}

/** The same recording in three places: in the spool, in the store, and with its first chunk stored already. */
async function everywhere(t: Test): Promise<{ bench: ApiBench; recordings: FabricatedRecording[] }> {
  const dir = t.testdir({});
  const spooled = await fabricateRecording(join(dir, 'spool'), { ...room, state: 'uploading' });
  const stored = await fabricateRecording(join(dir, 'recordings'), room);
  const single = await fabricateRecording(join(dir, 'recordings'), { ...room, layout: 'single' });
  const moving = await fabricateRecording(join(dir, 'spool'), { ...room, state: 'uploading' });
  const target = join(dir, 'recordings', relative(join(dir, 'spool'), moving.folder));
  await mkdir(target, { recursive: true });
  for (const name of ['0-audio.wav', '0-alice.wav', '1-bob.wav'])
    await rename(join(moving.folder, name), join(target, name));
  return { bench: await ApiBench.start(t, dir), recordings: [spooled, stored, single, moving] };
}

await t.test(
  'a lane is as long as the recording, wherever its files lie, and silent where it has none',
  async (t) => {
    const { bench, recordings } = await everywhere(t);
    for (const [at, recording] of recordings.entries()) {
      const { recordingId, sampleRate } = recording.manifest;
      for (const [lane, there] of Object.entries(room.lanes)) {
        const pcm = laneOf(recording, lane, there);
        const path = `/v1/recordings/${recordingId}/audio.wav?lane=${lane}`;
        const whole = await bench.get(path);
        t.equal(whole.status, 200);
        t.ok((await bytesOf(whole)).equals(wavOf(pcm, sampleRate, 1)), `${lane} of ${at}`);
        const part = await bench.get(`${path}&from=7000&to=9000`);
        t.ok((await bytesOf(part)).equals(wavOf(pcm.subarray(7000, 9000), sampleRate, 1)), 'over an edge');
        const range = await bench.get(path, { range: 'bytes=15000-20000' });
        t.equal(range.status, 206);
        t.ok((await bytesOf(range)).equals(wavOf(pcm, sampleRate, 1).subarray(15_000, 20_001)));
      }
      const mix = await bench.audio(recordingId);
      t.ok((await bytesOf(mix)).equals(wavOf(recording.pcm, sampleRate, 1)), 'without a lane it is the mix');
    }
  },
);

await t.test('lanes, and the mix, have tags of their own', async (t) => {
  const { bench, recordings } = await everywhere(t);
  const id = recordings[0]?.manifest.recordingId ?? '';
  const tags = await Promise.all(
    ['', '?lane=alice', '?lane=bob', '?lane=alice&format=opus'].map(async (query) =>
      (await bench.get(`/v1/recordings/${id}/audio.wav${query}`)).headers.get('etag'),
    ),
  );
  t.equal(new Set(tags).size, tags.length, tags.join());
  const [, alice = ''] = tags;
  const known = await bench.get(`/v1/recordings/${id}/audio.wav?lane=alice`, {
    'if-none-match': alice ?? '',
  });
  t.equal(known.status, 304);
});

await t.test('peaks and segments are those of the lane that is asked for', async (t) => {
  const { bench, recordings } = await everywhere(t);
  const [recording] = recordings;
  const id = recording?.manifest.recordingId ?? '';
  const peaks = async (
    query: string,
  ): Promise<{ lane?: string; samples: number; levels: { peaks: number[][] }[] }> =>
    (await (await bench.get(`/v1/recordings/${id}/waveform.json${query}`)).json()) as never;
  const [mix, alice, bob] = [await peaks(''), await peaks('?lane=alice'), await peaks('?lane=bob')];
  t.notOk('lane' in mix);
  t.match(alice, { lane: 'alice', samples: 16_300 });
  t.equal(bob.levels[0]?.peaks.length, 1);
  const [first = [], last = []] = [bob.levels[0]?.peaks[0]?.slice(0, 8), bob.levels[0]?.peaks[0]?.slice(-2)];
  t.ok(
    [...first, ...last].every((peak) => peak === 0),
    'bob is silent at either end',
  );
  t.not(JSON.stringify(alice.levels), JSON.stringify(mix.levels));
  t.ok(bob.levels[0]?.peaks[0]?.some((peak) => peak > 20));
  const segments = await bench.get(`/v1/recordings/${id}/segments.json?lane=bob`);
  t.match(await segments.json(), { lane: 'bob', samples: 16_300, gaps: [] });
  const data = await bytesOf(await bench.get(`/v1/recordings/${id}/waveform.dat?lane=bob&samplesPerBin=256`));
  t.equal(data.readInt32LE(20), 1);
});

await t.test('a lane’s file of a chunk is given as it was sealed', async (t) => {
  const { bench, recordings } = await everywhere(t);
  for (const { manifest } of recordings.slice(0, 2)) {
    const { recordingId, chunks } = manifest;
    const answer = await bench.get(`/v1/recordings/${recordingId}/chunks/1.wav?lane=bob`);
    const said = chunks[1]?.lanes?.find(({ lane }) => lane === 'bob');
    t.equal(
      createHash('sha256')
        .update(await bytesOf(answer))
        .digest('hex'),
      said?.sha256,
    );
    t.equal(answer.headers.get('etag'), `"${said?.sha256 ?? ''}"`);
    t.equal((await bench.get(`/v1/recordings/${recordingId}/chunks/0.wav?lane=bob`)).status, 404);
  }
});

await t.test('a lane that isn’t there is refused', async (t) => {
  const dir = t.testdir({});
  const { manifest } = await fabricateRecording(join(dir, 'recordings'), room);
  const call = await fabricateRecording(join(dir, 'recordings'), {});
  const bench = await ApiBench.start(t, dir);
  for (const lane of ['mallory', '../alice', 'audio', '']) {
    const path = `/v1/recordings/${manifest.recordingId}/audio.wav?lane=${encodeURIComponent(lane)}`;
    const answer = await bench.get(path);
    t.equal(answer.status, 400, lane);
    t.match(await answer.json(), { code: 'request_invalid', remedy: /manifest lists/ });
  }
  const none = await bench.get(`/v1/recordings/${call.manifest.recordingId}/audio.wav?lane=alice`);
  t.equal(none.status, 400);
});

await t.test('a lane of a room that is up is given as far as it goes', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'spool'), {
    ...room,
    lastSamples: 8000,
    state: 'recording',
  });
  const { folder, manifest } = recording;
  // The last chunk still grows: it has neither sidecar nor name.
  await rm(join(folder, '2-metadata.json'));
  for (const lane of ['audio', 'alice'])
    await rename(join(folder, `2-${lane}.wav`), join(folder, `2-${lane}.wav.open`));
  const chunks = manifest.chunks.slice(0, 2);
  await writeFile(join(folder, 'manifest.json'), JSON.stringify({ ...manifest, chunks, samples: 16_000 }));
  const bench = await ApiBench.start(t, dir);
  for (const [lane, there] of Object.entries(room.lanes)) {
    const answer = await bench.get(`/v1/recordings/${manifest.recordingId}/audio.wav?lane=${lane}`);
    t.ok((await bytesOf(answer)).equals(wavOf(laneOf(recording, lane, there), 8000, 1)), lane);
  }
});

await t.test('a bundle lists lanes and their files, and finds what is missing', async (t) => {
  const dir = t.testdir({});
  const { folder, manifest } = await fabricateRecording(join(dir, 'recordings'), room);
  const bench = await ApiBench.start(t, dir, { adminKeys: ['admin'] });
  interface Bundle {
    readonly findings: { readonly code: string; readonly where: string }[];
    readonly files: { readonly name: string }[];
    readonly manifest: { readonly lanes: { readonly lane: string }[] };
  }
  const bundle = async (): Promise<Bundle> =>
    (await (
      await bench.ask('GET', `/v1/recordings/${manifest.recordingId}/bundle`, 'admin')
    ).json()) as Bundle;
  const whole = await bundle();
  t.strictSame(whole.findings, []);
  t.ok(whole.files.some(({ name }) => name === '1-bob.wav'));
  t.match(whole.manifest.lanes, [{ lane: 'alice' }, { lane: 'bob' }]);
  await rm(join(folder, '1-bob.wav'));
  t.match((await bundle()).findings, [{ code: 'lane_missing', where: '1-bob.wav' }]);
});

await t.test('what is deleted of a room leaves no lane behind', async (t) => {
  const dir = t.testdir({});
  const { folder, manifest } = await fabricateRecording(join(dir, 'recordings'), room);
  const bench = await ApiBench.start(t, dir, { adminKeys: [{ key: 'admin', scopes: ['read', 'delete'] }] });
  t.equal((await bench.ask('DELETE', `/v1/recordings/${manifest.recordingId}`, 'admin')).status, 200);
  t.strictSame(await readdir(folder).catch(() => []), []);
});
