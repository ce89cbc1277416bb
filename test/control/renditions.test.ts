import { once } from 'node:events';
import { unlink, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import t from 'tap';
import { ChannelSelection } from '../../src/audio/ChannelSelection.js';
import { channelOf, interleaved } from '../../src/audio/pcm.js';
import { readSpeech } from '../../src/audio/Speech.js';
import { Waveform } from '../../src/audio/Waveform.js';
import type { SpeechDocument } from '../../src/control/rendition/speechDocument.js';
import type { WaveformDocument } from '../../src/control/rendition/waveformDocument.js';
import { pagesOf } from '../audio/fixtures/oggPages.js';
import { ApiBench, bytesOf } from '../fixtures/ApiBench.js';
import { fabricateRecording, type FabricatedRecording, wavOf } from '../fixtures/recording.js';

/** What a WAV of these channels and this stretch holds. */
function wavOfPart(
  { pcm, manifest }: FabricatedRecording,
  channel?: string,
  from = 0,
  to = Infinity,
): Buffer {
  const count = manifest.channels.length;
  const selection = ChannelSelection.read(channel, count);
  const stretch = pcm.subarray(from * count, Math.min(pcm.length, to * count));
  return wavOf(selection.of(stretch), manifest.sampleRate, selection.channels);
}

/** The routes of one recording. */
function routesOf(bench: ApiBench, { manifest }: FabricatedRecording) {
  const path = `/v1/recordings/${manifest.recordingId}`;
  return async (name: string, headers: Record<string, string> = {}, method = 'GET') =>
    await bench.get(`${path}/${name}`, headers, method);
}

/** A recording of the demo's speech, with a second of silence in front. */
async function spoken(dir: string): Promise<FabricatedRecording> {
  const recording = await fabricateRecording(dir, { chunks: 10, samplesPerChunk: 8000, state: 'uploading' });
  const lead = new Int16Array(8000);
  const channels = await Promise.all(
    ['caller', 'bot'].map(async (name) => {
      const speech = await readSpeech(join('src', 'simulators', 'speech', `${name}.wav`), 8000);
      return Int16Array.from({ length: 80_000 }, (_, at) => lead[at] ?? speech[at - 8000] ?? 0);
    }),
  );
  const pcm = interleaved(channels);
  for (let index = 0; index < 10; index++)
    await writeFile(
      join(recording.folder, `${index}-audio.wav`),
      wavOf(pcm.subarray(index * 16_000, (index + 1) * 16_000), 8000, 2),
    );
  return { ...recording, pcm };
}

await t.test('a channel or a mix is a WAV of its own, with ranges and tags', async (t) => {
  const dir = t.testdir({});
  const shape = { chunks: 3, samplesPerChunk: 800, lastSamples: 300 };
  const spooled = await fabricateRecording(join(dir, 'spool'), { ...shape, state: 'uploading' });
  const stored = await fabricateRecording(join(dir, 'recordings'), { ...shape, layout: 'single' });
  const bench = await ApiBench.start(t, dir);
  const tags = new Set<string | null>();
  for (const recording of [spooled, stored])
    for (const channel of ['0', '1', 'mix']) {
      const whole = wavOfPart(recording, channel);
      const get = routesOf(bench, recording);
      const response = await get(`audio.wav?channel=${channel}`);
      t.equal(response.status, 200);
      t.equal(response.headers.get('content-type'), 'audio/wav');
      t.equal(Number(response.headers.get('content-length')), whole.length);
      t.ok((await bytesOf(response)).equals(whole));
      const etag = response.headers.get('etag') ?? '';
      tags.add(etag);
      const range = await get(`audio.wav?channel=${channel}`, { range: 'bytes=1700-3333', 'if-range': etag });
      t.equal(range.status, 206);
      t.equal(range.headers.get('content-range'), `bytes 1700-3333/${whole.length}`);
      t.ok((await bytesOf(range)).equals(whole.subarray(1700, 3334)));
      const head = await get(`audio.wav?channel=${channel}`, {}, 'HEAD');
      t.equal(Number(head.headers.get('content-length')), whole.length);
      const known = await get(`audio.wav?channel=${channel}`, { 'if-none-match': etag });
      t.equal(known.status, 304);
      const beyond = await get(`audio.wav?channel=${channel}`, { range: `bytes=${whole.length}-` });
      t.equal(beyond.status, 416);
      await beyond.body?.cancel();
    }
  t.equal(tags.size, 6);
  const plain = await routesOf(bench, spooled)('audio.wav?share=anything');
  t.ok((await bytesOf(plain)).equals(wavOfPart(spooled)), 'what it doesn’t know it leaves to others');
});

await t.test('a transcript’s times cut exactly there', async (t) => {
  const dir = t.testdir({});
  const recording = await spoken(join(dir, 'spool'));
  const bench = await ApiBench.start(t, dir);
  const get = routesOf(bench, recording);
  const response = await get('segments.json');
  t.equal(response.headers.get('content-type'), 'application/json; charset=utf-8');
  const { segments, samples, state } = (await response.json()) as SpeechDocument;
  t.match({ samples, state }, { samples: 80_000, state: 'uploading' });
  t.ok(segments.length >= 6, `${segments.length} segments`);
  for (const { channel, startSample, samples, startTime, endTime, startSeconds, endSeconds } of segments) {
    t.ok(startSample >= 8000 - 800);
    const expected = wavOfPart(recording, String(channel), startSample, startSample + samples);
    for (const [from, to] of [
      [startSample, startSample + samples],
      [`${startSeconds}s`, `${endSeconds}s`],
      [startTime, endTime],
    ]) {
      const cut = await get(`audio.wav?channel=${channel}&from=${from}&to=${to}`);
      t.ok((await bytesOf(cut)).equals(expected), `${from} to ${to}`);
    }
  }
  const same = await get('segments.json', { 'if-none-match': response.headers.get('etag') ?? '' });
  t.equal(same.status, 304);
});

await t.test('Ogg Opus and MP3 are sent as they are made', async (t) => {
  const dir = t.testdir({});
  const recording = await spoken(join(dir, 'spool'));
  const bench = await ApiBench.start(t, dir);
  const get = routesOf(bench, recording);
  for (const [format, type] of [
    ['opus', 'audio/ogg; codecs=opus'],
    ['mp3', 'audio/mpeg'],
  ]) {
    const response = await get(`audio.wav?format=${format}&from=0.5s&to=3s`, { range: 'bytes=0-99' });
    t.equal(response.status, 200, 'a range of it is not known');
    t.equal(response.headers.get('content-type'), type);
    t.equal(response.headers.get('accept-ranges'), 'none');
    t.equal(response.headers.get('content-length'), null);
    const name = `${recording.manifest.recordingId}-all.${format}`;
    t.equal(response.headers.get('content-disposition'), `inline; filename="${name}"`);
    const file = await bytesOf(response);
    t.ok(file.length > 4000 && file.length < 40_000, `${file.length} bytes`);
    if (format === 'opus') t.equal(pagesOf(file).at(-1)?.granule, 20_000 * 6 + 312);
    else t.ok(file.includes('LAME'), 'says where its audio begins and ends');
    const head = await get(`audio.wav?format=${format}`, {}, 'HEAD');
    t.equal(head.headers.get('content-type'), type);
    const etag = response.headers.get('etag') ?? '';
    t.equal((await get(`audio.wav?format=${format}&from=0.5s&to=3s`, { 'if-none-match': etag })).status, 304);
  }
  const wav = await get('audio.wav?format=wav');
  t.ok((await bytesOf(wav)).equals(wavOfPart(recording)));
});

await t.test('a waveform is that of the samples, as numbers and as bytes', async (t) => {
  const dir = t.testdir({});
  const stored = await fabricateRecording(join(dir, 'recordings'), { chunks: 3, layout: 'chunks' });
  const growing = await fabricateRecording(join(dir, 'spool'), {
    state: 'recording',
    chunks: 2,
    openSamples: 1234,
  });
  const bench = await ApiBench.start(t, dir);
  for (const recording of [stored, growing]) {
    const { pcm } = recording;
    const waveform = new Waveform({ sampleRate: 8000, channels: 2 });
    waveform.push([channelOf(pcm, 0, 2), channelOf(pcm, 1, 2)]);
    const get = routesOf(bench, recording);
    const response = await get('waveform.json');
    t.equal(response.status, 200);
    t.equal(response.headers.get('x-reelay-state'), recording.manifest.state);
    const document = (await response.json()) as WaveformDocument;
    t.match(document, { samples: pcm.length / 2, state: recording.manifest.state });
    t.same(
      document.levels.map(({ peaks }) => peaks),
      waveform.levels.map(({ peaks }) => peaks.map((pairs) => [...pairs].map((peak) => peak >> 8))),
    );
    const data = await bytesOf(await get('waveform.dat?samplesPerBin=800'));
    t.equal(data.readInt32LE(12), 800);
    t.equal(data.readInt8(24), document.levels[1]?.peaks[0]?.[0]);
    const etag = response.headers.get('etag') ?? '';
    t.equal((await get('waveform.json', { 'if-none-match': etag })).status, 304);
    t.equal(await (await get('waveform.json', {}, 'HEAD')).text(), '');
    const more = Int16Array.from({ length: 2 * 2000 }, (_, at) => at);
    if (recording !== growing) continue;
    await writeFile(join(recording.folder, '2-audio.wav.open'), wavOf(more, 8000, 2));
    const grown = await get('waveform.json', { 'if-none-match': etag });
    t.equal(grown.status, 200);
    t.equal(((await grown.json()) as WaveformDocument).samples, 18_000);
  }
});

await t.test('a recording that grows is rendered as far as it goes', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'spool'), {
    state: 'recording',
    chunks: 1,
    openSamples: 1234,
  });
  const bench = await ApiBench.start(t, dir);
  const get = routesOf(bench, recording);
  t.ok((await bytesOf(await get('audio.wav?channel=1'))).equals(wavOfPart(recording, '1')));
  const opus = await bytesOf(await get('audio.wav?format=opus&from=1s'));
  t.equal(pagesOf(opus).at(-1)?.granule, 1234 * 6 + 312);
  t.ok(
    (await bytesOf(await get('audio.wav?from=9000&to=99999'))).equals(wavOfPart(recording, undefined, 9000)),
  );
});

await t.test('audio that has vanished breaks the answer off', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'recordings'), { chunks: 4, layout: 'chunks' });
  const bench = await ApiBench.start(t, dir);
  const get = routesOf(bench, recording);
  await unlink(join(recording.folder, '2-audio.wav'));
  for (const query of ['channel=0', 'format=opus', 'format=mp3'])
    await t.rejects(get(`audio.wav?${query}`).then(bytesOf));
  for (const name of ['waveform.json', 'waveform.dat', 'segments.json']) {
    const response = await get(name);
    t.equal(response.status, 500, name);
    t.match(await response.json(), { code: 'chunk_missing' });
  }
  t.equal(
    (await bytesOf(await get('audio.wav?channel=0&to=16000'))).length,
    44 + 32_000,
    'the rest is there',
  );
});

await t.test('what can’t be is refused, and what is not there yet is told', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'spool'), { state: 'uploading' });
  const mixed = await fabricateRecording(join(dir, 'spool'), { state: 'uploading', channels: 1 });
  const empty = await fabricateRecording(join(dir, 'spool'), { state: 'recording', chunks: 0 });
  const failed = await fabricateRecording(join(dir, 'spool'), {
    state: 'failed',
    reason: 'no_store',
    chunks: 0,
  });
  const bench = await ApiBench.start(t, dir);
  const statuses = async (of: FabricatedRecording, name: string) => {
    const response = await routesOf(bench, of)(name);
    const { code } = (await response.json()) as { code?: string };
    return [response.status, code];
  };
  for (const query of [
    'channel=2',
    'channel=left',
    'format=flac',
    'from=1.5',
    'from=2s&to=1s',
    'channel=0&channel=1',
  ])
    t.same(await statuses(recording, `audio.wav?${query}`), [400, 'request_invalid'], query);
  t.same(await statuses(mixed, 'audio.wav?channel=1'), [400, 'request_invalid']);
  t.same(await statuses(recording, 'audio.wav?from=10s'), [416, 'range_unsatisfiable']);
  t.same(await statuses(recording, 'waveform.dat?samplesPerBin=0'), [400, 'request_invalid']);
  for (const name of ['audio.wav?format=opus', 'waveform.json', 'waveform.dat', 'segments.json']) {
    t.same(await statuses(empty, name), [202, undefined], name);
    t.same(await statuses(failed, name), [409, 'recording_failed'], name);
    t.equal((await bench.get(`/v1/recordings/nobody/${name}`)).status, 404);
  }
});

await t.test('another account’s recording is not there', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'spool'), { state: 'uploading' });
  const bench = await ApiBench.start(t, dir, {
    accounts: [
      { id: recording.manifest.accountId, apiKeys: ['own'] },
      { id: 'AC00000000000000000000000000000002', apiKeys: ['other'] },
    ],
  });
  const get = routesOf(bench, recording);
  for (const name of [
    'audio.wav?channel=0',
    'audio.wav?format=mp3',
    'waveform.json',
    'waveform.dat',
    'segments.json',
  ]) {
    const own = await get(name, { authorization: 'Bearer own' });
    t.equal(own.status, 200);
    await own.body?.cancel();
    t.equal((await get(name, { authorization: 'Bearer other' })).status, 404);
    t.equal((await get(name)).status, 401);
  }
});

await t.test('four are encoded at once, two of one account, and one that goes makes room', async (t) => {
  const dir = t.testdir({});
  const shape = { chunks: 3, rate: 48_000, samplesPerChunk: 4_800_000, state: 'uploading' } as const;
  const made = async (accountId: string) =>
    await fabricateRecording(join(dir, 'spool'), { ...shape, accountId });
  const [recording, other] = [await made('AC1'), await made('AC2')];
  const bench = await ApiBench.start(t, dir);
  /** An answer that nobody reads on. */
  const held = async ({ manifest }: FabricatedRecording) => {
    const url = `${bench.url}/v1/recordings/${manifest.recordingId}/audio.wav?format=opus`;
    const asked = request(url).end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    return response.pause();
  };
  const get = routesOf(bench, recording);
  const four = [await held(recording), await held(recording)];
  const third = await get('audio.wav?format=mp3');
  t.equal(third.status, 503, 'an account has two');
  t.match(await third.json(), { code: 'too_many_downloads' });
  four.push(await held(other), await held(other));
  t.same(
    four.map(({ statusCode }) => statusCode),
    [200, 200, 200, 200],
  );
  const plain = await get('audio.wav?channel=0&to=8000');
  t.equal((await bytesOf(plain)).length, 44 + 16_000, 'a WAV needs no encoder');
  four[0]?.destroy();
  for (;;) {
    const next = await get('audio.wav?format=mp3&to=8000');
    if (next.status !== 503) {
      t.equal(next.status, 200);
      t.ok((await bytesOf(next)).length > 0);
      break;
    }
    await next.body?.cancel();
  }
  for (const response of four) response.destroy();
});
