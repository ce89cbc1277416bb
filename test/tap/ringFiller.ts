import { parentPort, workerData } from 'node:worker_threads';
import { RoomRing } from '../../src/rooms/LaneWriter.js';
import { Counters } from '../../src/tap/Counters.js';
import { SharedSequence } from '../../src/tap/Sequence.js';
import { RecordKind } from '../../src/tap/TapRecord.js';

/** A producer that writes as fast as it can, until somebody ends its thread. */
const { ring, numbers } = workerData as { ring: SharedArrayBuffer; numbers: SharedArrayBuffer };
const room = new RoomRing(ring, new SharedSequence(numbers), new Counters());
const payload = new Uint8Array(8);
for (let written = 1; ; written++) {
  room.write(RecordKind.audio, { call: 1, stream: 1 }, 0, payload);
  if (written === 5000) parentPort?.postMessage('writes');
}
