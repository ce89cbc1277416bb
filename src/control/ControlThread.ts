import { parentPort, workerData } from 'node:worker_threads';
import { threadLog } from '../config/threadLog.js';
import { Control } from './Control.js';
import type { ControlData, FromControl, ToControl } from './ControlMessage.js';

/*
 * The control thread's entry: a Control and the ports around it. It answers with `config` (or `configError`), waits for `begin`
 * unless its main has begun already, and answers that with `ready` once it listens.
 */
const beatMs = 200;

const data = workerData as ControlData;
const heartbeat = new Int32Array(data.heartbeat);
setInterval(() => Atomics.add(heartbeat, 0, 1), beatMs);

const control = Control.configure(
  data,
  (config) => threadLog('control', config.log.level),
  (message: FromControl) => parentPort?.postMessage(message),
);
parentPort?.on('message', (message: ToControl) => control?.receive(message));
if (data.begun) control?.receive({ type: 'begin', alone: true });
