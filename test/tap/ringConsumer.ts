import { parentPort, workerData } from 'node:worker_threads';
import { RingReader } from '../../src/tap/Ring.js';
import { readRecords } from '../../src/tap/RecordReader.js';

/** A consumer that takes at least so many records and then says which they were; its end is up to the test. */
const { ring, records } = workerData as { ring: SharedArrayBuffer; records: number };
const reader = new RingReader(ring);
const sequences: number[] = [];

function turn(): void {
  for (const run of reader.peek()) readRecords(run, (record) => sequences.push(record.sequence));
  reader.release();
  if (sequences.length < records) setImmediate(turn);
  else parentPort?.postMessage(sequences);
}
turn();
