import t from 'tap';
import { Backlog } from '../../src/control/monitoring/Backlog.js';
import { FailedRecordings } from '../../src/control/library/FailedRecordings.js';
import type { Manifest } from '../../src/spool/Manifest.js';
import { fabricateRecording } from '../fixtures/recording.js';

await t.test('what calls add and what waits follows announcements and the spool', async (t) => {
  const dir = t.testdir({});
  const { manifest } = await fabricateRecording(dir, { state: 'recording', chunks: 0, rate: 16_000 });
  const live: Manifest = { ...manifest, recordingId: 'live' };
  const mono: Manifest = { ...live, recordingId: 'mono', sampleRate: 8000, channels: [{ role: 'mixed' }] };
  const failed: Manifest = { ...live, recordingId: 'failed', state: 'failed', reason: 'no_store' };
  const backlog = new Backlog();
  backlog.take({ type: 'started', folder: 'a', manifest: live });
  backlog.found('b', mono);
  backlog.take({ type: 'started', folder: 'c', manifest: failed });
  backlog.found('d', { ...live, recordingId: 'over', state: 'uploading' });
  t.equal(backlog.rateOf(['live', 'mono', 'failed', null]), 64_000 + 16_000);
  t.equal(backlog.rateOf(['nobody has announced it']), 32_000);
  t.equal(backlog.unstored, 3);
  t.ok(backlog.isLive('live'));
  backlog.take({ type: 'ended', folder: 'a', manifest: { ...live, state: 'uploading' } });
  backlog.take({ type: 'ended', folder: 'c', manifest: failed });
  t.notOk(backlog.isLive('live'));
  t.equal(backlog.unstored, 3, 'over is not stored');
  for (const folder of ['a', 'b', 'd']) backlog.finished(folder);
  t.equal(backlog.unstored, 0);
  backlog.take({ type: 'ended', folder: 'a', manifest: { ...live, state: 'uploading' } });
  t.equal(backlog.unstored, 0, 'an announcement that comes late brings nothing back');
});

await t.test('a recording that failed is told once', async (t) => {
  const { manifest } = await fabricateRecording(t.testdir({}), {
    state: 'failed',
    reason: 'no_store',
    chunks: 0,
  });
  const told: string[] = [];
  const failed = new FailedRecordings(({ recordingId }) => void told.push(recordingId));
  const of = (recordingId: string, change: Partial<Manifest> = {}): Manifest => ({
    ...manifest,
    recordingId,
    ...change,
  });
  failed.found(of('before'));
  failed.found(of('now', { endTime: null }));
  for (let time = 0; time < 2; time++)
    for (const recordingId of ['before', 'now', 'later']) failed.ended(of(recordingId));
  failed.ended(of('whole', { state: 'uploading' }));
  t.strictSame(told, ['now', 'later']);
});
