import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { systemThread } from '../config/systemThread.js';
import { lowerPriority } from '../config/threadPriority.js';
import type { Announcement } from '../spool/SpoolEvent.js';
import type { FromRecorder, RecorderData, ToRecorder } from './RecorderMessage.js';

/* The recorder's thread: a Recorder and the message ports around it. */

/** Behind media, which owes it nothing, and before anybody who isn't in a hurry: it has a flush interval to keep. */
const niceness = 2;

lowerPriority(niceness);
const { CallLines } = await import('../config/CallLines.js');
const { threadLog } = await import('../config/threadLog.js');
const { Recorder } = await import('./Recorder.js');
const { Counters } = await import('../tap/Counters.js');
const { ThreadGauges } = await import('../tap/ThreadGauges.js');

const data = workerData as RecorderData;
const heartbeat = new Int32Array(data.heartbeat);
heartbeat[1] = systemThread();
let isHeard = false;
let controlPort = heard(data.controlPort);
const counters = new Counters(data.counters);
new ThreadGauges(counters, 'recorder').start();
const lines = new CallLines(
  (sent) => {
    controlPort.postMessage({ type: 'lines', lines: sent } satisfies Announcement);
    return isHeard;
  },
  (dropped) => counters.add('recorderLinesDropped', dropped),
);

const recorder = new Recorder({
  ...data,
  log: threadLog('recorder', data.logLevel, (line) => lines.take(line)),
  announce: (event) => controlPort.postMessage(event),
  mended: () => post({ type: 'mended' }),
  blocked: (isBlocked) => post({ type: 'blocked', isBlocked }),
  beat: () => {
    heartbeat[0] = ((heartbeat[0] ?? 0) + 1) | 0;
  },
});

parentPort?.on('message', (message: ToRecorder) => {
  if (message.type === 'control') controlPort = heard(message.port);
  else if (message.type === 'stop') void stop();
  else if (message.type === 'recover') void recover();
  else commit(message.fault);
});

// Before it says that it is ready: loading it would keep the loop from turning.
if (data.mends) await import('./mendSpool.js');
recorder.start();
post({ type: 'ready' });

/** Whether there is anybody at the other end of the port in use matters to nobody but who counts what is lost. */
function heard(port: MessagePort): MessagePort {
  isHeard = true;
  port.once('close', () => {
    if (port === controlPort) isHeard = false;
  });
  return port;
}

async function stop(): Promise<void> {
  const sealed = await recorder.stop();
  lines.flush();
  post({ type: 'stopped', sealed });
}

/** Posts `recovered` also when something could not be: that is told, and waits for the next start. */
async function recover(): Promise<void> {
  await recorder.recover();
  post({ type: 'recovered' });
}

function post(message: FromRecorder): void {
  parentPort?.postMessage(message);
}

/** Fails in the way that was asked for; main passes this on only with `REELAY_FAULTS=1`. */
function commit(fault: 'throw' | 'hang' | 'exit' | 'heap'): void {
  if (fault === 'exit') process.exit(1);
  if (fault === 'throw') throw new Error('The recorder was asked to throw.');
  const hoard: object[] = [];
  for (;;) {
    if (fault === 'heap') hoard.push(new Array(10_000).fill({}));
  }
}
