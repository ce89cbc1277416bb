import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { Recorder, progressEveryMs } from '../../src/recorder/Recorder.js';
import { createRing } from '../../src/tap/Ring.js';
import { RingTap } from '../../src/tap/RingTap.js';
import { Encoding, Track, type StreamFacts } from '../../src/tap/TapRecord.js';
import { CallScript } from './CallScript.js';

void t.test('the more calls there are, the rarer growing chunks are written, within bounds', (t) => {
  t.strictSame([0, 1, 50].map(progressEveryMs), [500, 500, 500]);
  t.strictSame([100, 150].map(progressEveryMs), [1000, 1500]);
  t.strictSame([200, 10_000].map(progressEveryMs), [2000, 2000]);
  t.end();
});

void t.test('a recorder that has fallen far behind beats while it catches up', async (t) => {
  const dir = t.testdir();
  const ring = createRing(64 * 1024 * 1024);
  const script = new CallScript().stream();
  const call = new RingTap(ring).startCall(script.facts, 0);
  const [, told] = script.records;
  const stream = call.startStream(JSON.parse(Buffer.from(told?.payload ?? []).toString()) as StreamFacts, 0);
  const frame = new Uint8Array(160);
  const frames = 50_000;
  for (let n = 0; n < frames; n++) stream.audio(Track.caller, Encoding.mulaw, frame, 20 * n, 20 * (n + 1));
  let beats = 0;
  const recorder = new Recorder({
    rings: [ring],
    spoolDir: dir,
    daemonDir: join(dir, '.reelay', 'd'),
    flushMs: 100,
    syncMs: 500,
    log: pino({ level: 'silent' }),
    announce: () => undefined,
    beat: () => beats++,
  });
  recorder.start();
  t.ok(beats > 5, `${beats} beats in the first turn, with ${frames} frames`);
  t.ok(await recorder.stop());
});
