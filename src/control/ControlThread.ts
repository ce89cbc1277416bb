import { parentPort, workerData } from 'node:worker_threads';
import { systemThread } from '../config/systemThread.js';
import { lowerPriority } from '../config/threadPriority.js';
import type { ControlData, FromControl, ToControl } from './ControlMessage.js';

/*
 * The control thread's entry: a Control and the ports around it. It answers with `config` (or `configError`), waits for `begin`
 * unless its main has begun already, and answers that with `ready` once it listens.
 */
const beatMs = 200;

/** Far behind media and recorder: nothing here is about a moment. */
const niceness = 10;

// Before anything else: to load what this thread needs takes more than a second of a core.
lowerPriority(niceness);
const { threadLog } = await import('../config/threadLog.js');
const { Control } = await import('./Control.js');
const { Counters } = await import('../tap/Counters.js');
const { ThreadGauges } = await import('../tap/ThreadGauges.js');

const data = workerData as ControlData;
const heartbeat = new Int32Array(data.heartbeat);
heartbeat[1] = systemThread();
setInterval(() => Atomics.add(heartbeat, 0, 1), beatMs);
new ThreadGauges(new Counters(data.counters), 'control').start();

const control = await Control.configure(
  data,
  (config, aside) => threadLog('control', config.log.level, aside),
  (message: FromControl) => parentPort?.postMessage(message),
);
parentPort?.on('message', (message: ToControl) => control?.receive(message));
if (data.begun) control?.receive({ type: 'begin', listens: data.listens ?? true });
