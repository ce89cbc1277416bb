import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { readWavHeader, wholeHeaderBytes } from '../../src/audio/wav.js';
import { bytesOf } from '../../src/audio/pcm.js';
import { FileStore } from '../../src/storage/FileStore.js';
import { type PortalCall, portalKey, PortalKeys } from '../../src/storage/PortalKeys.js';
import { type PortalFacts, portalMetadata } from '../../src/storage/portalMetadata.js';
import { portalBytes, portalFileName, renderPortal } from '../../src/storage/renderPortal.js';
import { WholeWav } from '../../src/storage/WholeWav.js';
import { fabricateRecording, type FabricatedRecording } from '../fixtures/recording.js';

const call: PortalCall = {
  recordingId: 'r1',
  callId: 'CA1',
  startTime: '2026-03-01T23:58:00.000Z',
  endTime: '2026-03-02T00:00:00.000Z',
  durationSeconds: 120,
};

function ending(endTime: string | null): PortalCall {
  return { ...call, endTime };
}

await t.test('the key is dated at the call’s end, in the zone of the SBC', (t) => {
  const cases: [string, string, string][] = [
    ['2026-03-01T23:59:59.999Z', 'UTC', '2026/03/01'],
    ['2026-03-02T00:00:00.000Z', 'UTC', '2026/03/02'],
    ['2026-03-02T04:59:59.999Z', 'America/New_York', '2026/03/01'],
    ['2026-03-02T05:00:00.000Z', 'America/New_York', '2026/03/02'],
    // New York's clocks go forward on 8 March: its midnight is at 5 o'clock UTC before that night and at 4 after it.
    ['2026-03-08T04:59:59.999Z', 'America/New_York', '2026/03/07'],
    ['2026-03-09T03:59:59.999Z', 'America/New_York', '2026/03/08'],
    ['2026-03-09T04:00:00.000Z', 'America/New_York', '2026/03/09'],
    // And back on 1 November, whose day has 25 hours.
    ['2026-11-01T04:00:00.000Z', 'America/New_York', '2026/11/01'],
    ['2026-11-02T04:59:59.999Z', 'America/New_York', '2026/11/01'],
    ['2026-11-02T05:00:00.000Z', 'America/New_York', '2026/11/02'],
    ['2026-12-31T13:00:00.000Z', 'Pacific/Auckland', '2027/01/01'],
    ['2026-06-30T18:15:00.000Z', 'Asia/Kathmandu', '2026/07/01'],
    // Havana's clocks jump at midnight itself: that day begins at one o'clock.
    ['2026-03-08T04:59:59.999Z', 'America/Havana', '2026/03/07'],
    ['2026-03-08T05:00:00.000Z', 'America/Havana', '2026/03/08'],
  ];
  for (const [end, zone, day] of cases)
    t.equal(portalKey(ending(end), 'mp3', zone), `${day}/CA1.mp3`, `${end} ${zone}`);
  t.equal(portalKey(call, 'wav', 'UTC', 3), '2026/03/02/CA1-3.wav');
  t.equal(portalKey(ending(null), 'wav', 'UTC'), '2026/03/02/CA1.wav', 'an end nobody saw is reckoned');
  t.throws(() => portalKey(call, 'mp3', 'Mars/Olympus'), RangeError);
  t.end();
});

await t.test('in UTC the day is that of the ISO date, whatever the moment', (t) => {
  const moment = fc.date({ min: new Date(0), max: new Date('2999-12-31'), noInvalidDate: true });
  fc.assert(
    fc.property(moment, (end) => {
      const iso = end.toISOString();
      const day = iso.slice(0, 10).replaceAll('-', '/');
      t.equal(portalKey(ending(iso), 'mp3', 'Etc/UTC'), `${day}/CA1.mp3`);
    }),
  );
  t.end();
});

function contentOf(bytes: string) {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { format: 'mp3' as const, bytes: bytes.length, sha256 };
}

async function lay(dir: string, key: string, bytes: string): Promise<void> {
  await mkdir(dirname(join(dir, key)), { recursive: true });
  await writeFile(join(dir, key), bytes);
}

const utc = { timeZone: 'UTC' };
const [first, second, third] = ['', '-2', '-3'].map((suffix) => `2026/03/02/CA1${suffix}.mp3`) as [
  string,
  string,
  string,
];

await t.test('a key that holds another recording’s object is left alone', async (t) => {
  const dir = t.testdir({});
  const store = new FileStore(dir);
  const keys = new PortalKeys();
  t.same(await keys.claim(store, call, contentOf('mine'), utc), { key: first, isStored: false });
  keys.release(call);
  await lay(dir, first, 'hers');
  await lay(dir, second, 'mine');
  t.same(
    await keys.claim(store, call, contentOf('mine'), utc),
    { key: third, isStored: false },
    'equal bytes alone make no object ours: an empty call is like another',
  );
});

await t.test('after a restart the noted key is kept, if it is still ours', async (t) => {
  const dir = t.testdir({});
  const store = new FileStore(dir);
  const claim = (noted: string) => new PortalKeys().claim(store, call, contentOf('mine'), { ...utc, noted });
  t.same(
    await claim(second),
    { key: second, isStored: false },
    'noted, and the crash came before it was stored',
  );
  await lay(dir, second, 'mine');
  t.same(
    await claim(second),
    { key: second, isStored: true },
    'stored, and the crash came before that was noted',
  );
  await lay(dir, first, 'hers');
  await lay(dir, second, 'theirs');
  t.same(await claim(second), { key: third, isStored: false }, 'somebody else was faster');
});

await t.test('recordings of one call that end together get a key each', async (t) => {
  const dir = t.testdir({ elsewhere: {} });
  const store = new FileStore(dir);
  const keys = new PortalKeys();
  const ids = ['r1', 'r2', 'r3', 'r1'];
  const claims = await Promise.all(
    ids.map((recordingId) => keys.claim(store, { ...call, recordingId }, contentOf(recordingId), utc)),
  );
  t.same(
    claims.map(({ key }) => key),
    [first, second, third, first],
    'and one that asks again the same',
  );
  keys.release({ recordingId: 'r2' });
  t.equal((await keys.claim(store, { ...call, recordingId: 'r4' }, contentOf('4'), utc)).key, second);
  const other = new FileStore(join(dir, 'elsewhere'));
  t.equal((await keys.claim(other, { ...call, recordingId: 'r5' }, contentOf('5'), utc)).key, first);
});

await t.test('a store that fails keeps no key claimed', async (t) => {
  const dir = t.testdir({});
  const keys = new PortalKeys();
  class Failing extends FileStore {
    override size(): Promise<number | null> {
      return Promise.reject(new Error('503'));
    }
  }
  await t.rejects(keys.claim(new Failing(dir), call, contentOf('mine'), utc), { message: '503' });
  const next = await keys.claim(new FileStore(dir), { ...call, recordingId: 'r2' }, contentOf('x'), utc);
  t.equal(next.key, first);
});

const facts: PortalFacts = {
  recordingId: '0192-r',
  accountId: 'AC1',
  callId: 'CA1',
  direction: 'inbound',
  from: '+15550100001',
  to: 'Zoë 100%',
  parameters: {
    callId: 'sip-1',
    applicationSid: null,
    originatingSipIp: '192.0.2.1',
    customerData: { a: 1 },
  },
  sampleRate: 8000,
};

await t.test('the object carries what jambonz’s own recorders write', (t) => {
  t.strictSame(portalMetadata(facts), {
    accountSid: 'AC1',
    callSid: 'CA1',
    direction: 'inbound',
    from: '+15550100001',
    to: 'Zo%C3%AB 100%25',
    callId: 'sip-1',
    originatingSipIp: '192.0.2.1',
    sampleRate: '8000',
    reelayRecordingId: '0192-r',
  });
  t.equal(portalMetadata({ ...facts, claimedAccountId: 'AC2' })['accountSid'], 'AC2');
  t.end();
});

await t.test('metadata is short ASCII that can be decoded, whatever the call says', (t) => {
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), fc.string({ unit: 'grapheme' }));
  const wild = fc.string({ unit: 'binary' }).map((value) => value + '\ud800');
  fc.assert(
    fc.property(fc.oneof(text, wild), fc.anything(), (from, anything) => {
      const parameters = { callId: from, originatingSipTrunkName: anything };
      const metadata = portalMetadata({ ...facts, from, to: from, parameters });
      const all = Object.entries(metadata).map(([name, value]) => name + value);
      t.ok(all.every((entry) => /^[ -~]*$/.test(entry)));
      t.ok(all.join('').length < 2048);
      const decoded = decodeURIComponent(metadata['from'] ?? '');
      const clean = Buffer.from(from).toString().trim();
      t.ok(clean.startsWith(decoded.trimEnd()), JSON.stringify(from));
    }),
    { numRuns: 300 },
  );
  t.end();
});

function wholeOf(spoolDir: string, { folder, manifest }: FabricatedRecording): WholeWav {
  const where = { spoolDir, folder: relative(spoolDir, folder), store: () => null };
  const { sampleRate, channels, chunks } = manifest;
  return new WholeWav({ where, sampleRate, channels: channels.length, pieces: chunks, isFinal: true });
}

await t.test('the portal’s file is the whole call, and the same each time', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(dir, { chunks: 4, state: 'uploading' });
  const whole = wholeOf(dir, recording);
  for (const format of ['wav', 'mp3'] as const) {
    const file = join(recording.folder, portalFileName(format));
    const rendered = await renderPortal(whole, format, file);
    const bytes = await readFile(file);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    t.strictSame(rendered, { format, bytes: bytes.length, sha256 });
    t.ok(bytes.length <= portalBytes(whole));
    t.strictSame(await renderPortal(whole, format, file), rendered);
    if (format === 'mp3') t.equal(bytes.indexOf('Info'), 21, 'it says where its audio begins and ends');
    else t.ok(bytes.subarray(wholeHeaderBytes).equals(bytesOf(recording.pcm)));
    if (format === 'wav') t.equal(readWavHeader(bytes).dataBytes, recording.pcm.byteLength);
  }
  t.notOk((await readdir(recording.folder)).some((name) => name.endsWith('.part')));
});

await t.test('a rendering that fails leaves nothing but what was there before', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(dir, { chunks: 3, state: 'uploading' });
  const file = join(recording.folder, portalFileName('mp3'));
  await writeFile(file, 'before');
  const names = (await readdir(recording.folder)).filter((name) => name !== '2-audio.wav');
  await unlink(join(recording.folder, '2-audio.wav'));
  await t.rejects(renderPortal(wholeOf(dir, recording), 'mp3', file), { code: 'chunk_missing' });
  t.same(await readdir(recording.folder), names);
  t.equal(await readFile(file, 'utf8'), 'before');
  const signal = AbortSignal.abort(new Error('enough'));
  await t.rejects(renderPortal(wholeOf(dir, recording), 'wav', file, signal), { message: 'enough' });
  t.same(await readdir(recording.folder), names);
  await rm(recording.folder, { recursive: true });
  await t.rejects(renderPortal(wholeOf(dir, recording), 'wav', file), { code: 'ENOENT' });
});
