import { parentPort, workerData } from 'node:worker_threads';
import { systemThread } from '../config/systemThread.js';
import { lowerPriority } from '../config/threadPriority.js';
import type { FromRooms, RoomsData, ToRooms } from '../tap/RoomsMessage.js';

/*
 * The entry of the thread that joins rooms. It ends with its processes: their pipes are its own, and they end when those do.
 */

/** As the recorder's, which waits for what this one writes. */
const niceness = 2;
const beatMs = 200;

lowerPriority(niceness);
const { threadLog } = await import('../config/threadLog.js');
const { Rooms } = await import('./Rooms.js');

const data = workerData as RoomsData;
const heartbeat = new Int32Array(data.heartbeat);
heartbeat[1] = systemThread();
setInterval(() => Atomics.add(heartbeat, 0, 1), beatMs);

const entry = new URL('./roomWorker.js', import.meta.url);
const log = threadLog('rooms', data.logLevel);
const rooms = new Rooms(data, entry, log, (message: FromRooms) => parentPort?.postMessage(message));
parentPort?.on('message', (message: ToRooms) => {
  if (message.type === 'fault') commit(message.fault);
  else rooms.receive(message);
});

/** Fails in the way that was asked for; main passes this on only with `REELAY_FAULTS=1`. */
function commit(fault: 'throw' | 'hang' | 'exit' | 'heap'): void {
  if (fault === 'exit') process.exit(1);
  if (fault === 'throw') throw new Error('The rooms thread was asked to throw.');
  const hoard: object[] = [];
  for (;;) {
    if (fault === 'heap') hoard.push(new Array(10_000).fill({}));
  }
}
