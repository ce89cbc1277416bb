import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import t from 'tap';
import { wholeList } from '../fixtures/wholeList.js';
import { loadConfig } from '../../src/config/load.js';
import { Alerts } from '../../src/control/monitoring/Alerts.js';
import type { LiveCall } from '../../src/control/ControlMessage.js';
import { LiveCalls } from '../../src/control/library/LiveCalls.js';
import { SpoolWatch } from '../../src/control/uploads/SpoolWatch.js';
import { fabricateRecording } from '../fixtures/recording.js';

const MiB = 2 ** 20;

function callOf(recordingId: string | null): LiveCall {
  const nobody = { from: null, to: null, direction: null, startTime: '', streams: [] };
  const recording = recordingId === null ? 'off' : 'running';
  return {
    recording,
    ...nobody,
    recordingId,
    accountId: 'AC1',
    provider: 'twilio',
    callId: 'CA1',
    upstream: 'open',
  };
}

await t.test(
  'what the spool has room for is said at the start, and follows the calls that are up',
  async (t) => {
    const dir = t.testdir({});
    const lines: Record<string, unknown>[] = [];
    const log = pino(
      { base: null, timestamp: false },
      new Writable({
        write(line: Buffer, _encoding, done) {
          lines.push(JSON.parse(line.toString()) as Record<string, unknown>);
          done();
        },
      }),
    );
    const base = loadConfig({}, {}, dir);
    let config = { ...base, spool: { ...base.spool, maxBytes: 1000 * MiB, minFreeBytes: 0 } };
    const calls = new LiveCalls();
    const told: boolean[] = [];
    let reliefs = 0;
    const watch = new SpoolWatch({
      spoolDir: dir,
      config: () => config,
      calls,
      owns: () => true,
      alerts: new Alerts(log, () => undefined),
      relieve: () => {
        reliefs++;
        return Promise.reject(new Error('a folder cannot be read'));
      },
      changed: (isFull) => void told.push(isFull),
      log,
    });
    t.teardown(() => watch.stop());
    const { manifest } = await fabricateRecording(dir, { state: 'recording', chunks: 0, recordingId: 'r1' });
    watch.found('r1-folder', manifest);
    calls.take(wholeList([callOf('r1'), callOf('not announced yet'), callOf(null)]));
    await watch.start();
    t.match(lines.shift(), {
      level: 30,
      hoursOfOneCall: 9.1,
      hoursOfAllCalls: 0,
      hoursOfCallsNow: 4.6,
      calls: 500,
    });
    t.strictSame(told.splice(0), [false]);
    t.equal(watch.rate, 64_000);
    t.equal(watch.unstored, 1);
    calls.take(wholeList([]));
    t.equal(watch.rate, 0);

    await mkdir(join(dir, 'AC1/20261120/CA1/big'), { recursive: true });
    await writeFile(join(dir, 'AC1/20261120/CA1/big/0-audio.wav'), '');
    await truncate(join(dir, 'AC1/20261120/CA1/big/0-audio.wav'), 20 * MiB);
    config = { ...config, spool: { ...config.spool, maxBytes: 20 * MiB } };
    watch.touched('AC1/20261120/CA1/big');
    await watch.look();
    t.equal(reliefs, 1, 'room was to be made first');
    t.strictSame(told.splice(0), [true], 'that it failed holds nothing up');
    config = { ...config, spool: { ...config.spool, maxBytes: 200 * MiB } };
    await watch.look();
    t.strictSame(told, [false]);
    t.match(lines, [
      { level: 50, msg: 'no room could be made in the spool' },
      { level: 50, alert: true, code: 'spool_full', maxBytes: 20 * MiB, freeBytes: 0 },
      { level: 50, alert: true, code: 'spool_full', resolved: true },
    ]);
    t.equal(lines.length, 3);
  },
);
