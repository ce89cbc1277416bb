import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import t from 'tap';
import { RingReader, RingWriter, createRing } from '../../src/tap/Ring.js';
import { RingTap } from '../../src/tap/RingTap.js';
import { readFacts, readRecords } from '../../src/tap/RecordReader.js';
import {
  Encoding,
  RecordKind,
  Track,
  recordBytes,
  type CallFacts,
  type TapRecord,
} from '../../src/tap/TapRecord.js';

const capacity = 4 * 1024 * 1024;

const facts: CallFacts = {
  recordingId: 'r',
  accountId: 'AC1',
  provider: 'twilio',
  callId: 'CA1',
  wallClockMs: 0,
  sampleRate: 8000,
  channels: 'dual',
  chunkSeconds: 60,
  from: null,
  to: null,
  direction: null,
  parameters: {},
};

const stream = {
  streamId: 'MZ1',
  role: 'call',
  wallClockMs: 0,
  sampleRate: 8000,
  placement: 'timestamp',
  tracks: ['caller'],
  playout: 'queue',
  returnSampleRate: 8000,
  legSampleRate: 8000,
  amendMs: 1500,
  marksTellPlayout: true,
  overrunFingerprint: false,
} as const;

/** Takes everything that waits; payloads are copied, since they lie in the ring. */
function takeAll(reader: RingReader): TapRecord[] {
  const records: TapRecord[] = [];
  for (let run = reader.peek(); run.length > 0; run = reader.peek()) {
    readRecords(run, (record) => records.push({ ...record, payload: record.payload.slice() }));
    reader.release(run.length);
  }
  return records;
}

void t.test('records of any size come out whole and in order, however reads and writes interleave', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 1_000_000 }), { maxLength: 40 }),
      fc.integer(),
      (sizes, seed) => {
        const ring = createRing(capacity);
        const writer = new RingWriter(ring);
        const reader = new RingReader(ring);
        const written: number[] = [];
        const read: number[] = [];
        sizes.forEach((size, index) => {
          const offset = writer.reserve(size);
          if (offset >= 0) {
            writer.view.setUint32(offset, 40 + size, true);
            writer.view.setFloat64(offset + 32, index, true);
            writer.bytes.fill(index & 255, offset + 40, offset + 40 + size);
            writer.commit();
            written.push(index);
          }
          if ((seed + index) % 3 === 0) read.push(...takeAll(reader).map(checked));
        });
        read.push(...takeAll(reader).map(checked));
        if (read.join() !== written.join()) throw new Error(`${read.join()} is not ${written.join()}`);
        if (writer.usedBytes() !== 0) throw new Error('something is left');
      },
    ),
    { numRuns: 60 },
  );
  t.pass('every record came out as it went in');
  t.end();

  function checked(record: TapRecord): number {
    if (record.payload.some((byte) => byte !== (record.sequence & 255)))
      throw new Error('a payload was damaged');
    return record.sequence;
  }
});

void t.test('a full ring refuses and changes nothing', (t) => {
  const ring = createRing(capacity);
  const writer = new RingWriter(ring);
  const reader = new RingReader(ring);
  let accepted = 0;
  for (;;) {
    const offset = writer.reserve(160);
    if (offset < 0) break;
    writer.view.setUint32(offset, 200, true);
    writer.commit();
    accepted++;
  }
  t.equal(accepted, Math.floor(capacity / recordBytes(160)));
  t.equal(takeAll(reader).length, accepted);
  t.end();
});

void t.test('positions survive the wrap of their 32 bits', (t) => {
  const ring = createRing(capacity);
  new Int32Array(ring, 0, 2).fill(-(capacity / 8));
  const writer = new RingWriter(ring);
  const reader = new RingReader(ring);
  for (let i = 0; i < 60_000; i++) {
    const offset = writer.reserve(160);
    writer.view.setUint32(offset, 200, true);
    writer.view.setFloat64(offset + 32, i, true);
    writer.commit();
    if (i % 1000 === 999) {
      const taken = takeAll(reader);
      t.equal(taken.at(-1)?.sequence, i);
      t.equal(taken.length, 1000);
    }
  }
  t.end();
});

void t.test('a tap that was full reports what it dropped, and never drops a start or an end', (t) => {
  const ring = createRing(capacity);
  const tap = new RingTap(ring);
  const reader = new RingReader(ring);
  const call = tap.startCall(facts, 1);
  const media = call.startStream(stream, 2);
  const frame = new Uint8Array(160).fill(7);
  for (let i = 0; i < 30_000; i++) media.audio(Track.caller, Encoding.mulaw, frame, i * 20, 3 + i);
  media.end({ reason: 'stop', closeCode: 1000 }, 40_000);
  call.end({ ended: true }, 40_001);
  const first = takeAll(reader);
  tap.clock(50_000);
  const rest = takeAll(reader);
  const kinds = rest.map((record) => record.kind);
  t.strictSame(kinds, [RecordKind.dropped, RecordKind.streamEnd, RecordKind.callEnd, RecordKind.clock]);
  const dropped = readFacts(rest[0] ?? first[0] ?? fail()) as { records: number; sinceMs: number };
  t.equal(first.length - 2 + dropped.records, 30_000);
  t.equal(dropped.sinceMs, 3 + first.length - 2);
  t.strictSame(
    [...first, ...rest].map((record) => record.sequence),
    [...first, ...rest].map((_, index) => index + 1),
  );
  t.end();
});

void t.test(
  'what is dropped before a call has found room is reported behind its start, where it is missing',
  (t) => {
    const ring = createRing(capacity);
    const tap = new RingTap(ring);
    const reader = new RingReader(ring);
    const frame = new Uint8Array(160);
    const other = tap.startCall(facts, 1).startStream(stream, 2);
    for (let i = 0; i < 30_000; i++) other.audio(Track.caller, Encoding.mulaw, frame, i * 20, 3);
    const call = tap.startCall(facts, 100);
    const first = call.startStream(stream, 101);
    for (let i = 0; i < 5; i++) first.audio(Track.caller, Encoding.mulaw, frame, i * 20, 120 + i);
    first.end({ reason: 'stop', closeCode: 1000 }, 200);
    const second = call.startStream(stream, 300);
    for (let i = 0; i < 7; i++) second.audio(Track.caller, Encoding.mulaw, frame, i * 20, 320 + i);
    takeAll(reader);
    tap.clock(1000);
    const mine = takeAll(reader).filter((record) => record.call === 2);
    t.strictSame(
      mine.map(({ kind, arrivalMs }) => [kind, arrivalMs]),
      [
        [RecordKind.callStart, 100],
        [RecordKind.streamStart, 101],
        [RecordKind.dropped, 200],
        [RecordKind.streamEnd, 200],
        [RecordKind.streamStart, 300],
        [RecordKind.dropped, 1000],
      ],
    );
    const drops = mine.filter((record) => record.kind === RecordKind.dropped).map(readFacts);
    t.strictSame(drops, [
      { records: 5, sinceMs: 120 },
      { records: 7, sinceMs: 320 },
    ]);
    t.end();
  },
);

void t.test('audio longer than a record is split without a seam', (t) => {
  const ring = createRing(16 * 1024 * 1024);
  const tap = new RingTap(ring);
  const reader = new RingReader(ring);
  const media = tap.startCall(facts, 1).startStream(stream, 1);
  const long = Uint8Array.from({ length: 2_500_000 }, (_, i) => i % 251);
  media.audio(Track.caller, Encoding.mulaw, long, 100, 5);
  const audio = takeAll(reader).filter((record) => record.kind === RecordKind.audio);
  t.strictSame(
    audio.map((record) => record.providerMs),
    [100, NaN, NaN],
  );
  t.equal(Buffer.compare(Buffer.concat(audio.map((record) => record.payload)), long), 0);
  t.end();
});

void t.test('a successor goes on where its predecessor stopped, across real threads', async (t) => {
  const ring = createRing(capacity);
  const tap = new RingTap(ring);
  const media = tap.startCall(facts, 1).startStream(stream, 1);
  const frame = new Uint8Array(160);
  const url = new URL('./ringConsumer.js', import.meta.url);
  const seen: number[] = [];
  for (let life = 0; life < 3; life++) {
    const consumer = new Worker(url, { workerData: { ring, records: 1500 } });
    for (let i = 0; i < 2000; i++) media.audio(Track.caller, Encoding.mulaw, frame, NaN, 1);
    const [sequences] = (await once(consumer, 'message')) as [number[]];
    seen.push(...sequences);
    await consumer.terminate();
  }
  t.strictSame(
    seen,
    seen.map((_, index) => index + 1),
  );
  t.ok(seen.length >= 4500);
});

function fail(): never {
  throw new Error('nothing was read');
}
