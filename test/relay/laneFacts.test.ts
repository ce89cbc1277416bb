import t from 'tap';
import { laneFacts } from '../../src/relay/laneFacts.js';

await t.test('a lane is counted from where it arrived, and nothing is played to it', (t) => {
  const participant = {
    identity: 'alice',
    name: 'Alice',
    kind: 'STANDARD',
    sid: 'PA_1',
    source: 'microphone',
  };
  const lane = { streamId: 'PA_1-1-1', lane: 'alice', participant, isOnTime: true, sampleRate: 16_000 };
  const nowMs = Date.now();
  const { wallClockMs, ...facts } = laneFacts({ ...lane, arrivalMs: performance.now() - 60_000 });
  t.same(facts, {
    ...lane,
    role: 'lane',
    placement: 'arrival-count',
    tracks: ['caller'],
    playout: 'none',
    returnSampleRate: 16_000,
    legSampleRate: 16_000,
    amendMs: 5000,
    marksTellPlayout: false,
    overrunFingerprint: false,
  });
  t.ok(Math.abs(nowMs - 60_000 - wallClockMs) < 1000, 'the wall clock is that of the arrival');
  t.end();
});
