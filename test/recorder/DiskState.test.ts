import t from 'tap';
import { DiskState } from '../../src/recorder/DiskState.js';

void t.test('a disk is told of once, and once when it is well', (t) => {
  const told: unknown[] = [];
  const disk = new DiskState((error) => told.push(error));
  const error = new Error('EIO');
  for (let nowMs = 0; nowMs <= 10_000; nowMs += 50) {
    disk.refused(error, nowMs);
    disk.look(nowMs);
  }
  t.strictSame(told, [error]);
  disk.look(11_999);
  t.equal(told.length, 1);
  disk.look(12_000);
  t.strictSame(told, [error, null]);
  disk.look(20_000);
  t.equal(told.length, 2);
  t.end();
});

void t.test(
  'what it refuses now and then is not told, and what it refuses again soon is one trouble',
  (t) => {
    const told: unknown[] = [];
    const disk = new DiskState((error) => told.push(error));
    for (const nowMs of [0, 999, 3000, 6000]) {
      disk.look(nowMs);
      disk.refused('once', nowMs);
    }
    t.strictSame(told, []);
    for (const nowMs of [7500, 9000, 10_500]) {
      disk.look(nowMs);
      disk.refused('again', nowMs);
    }
    t.strictSame(told, ['again']);
    t.end();
  },
);
