import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import t from 'tap';
import { RingReader, RingWriter, createRing } from '../../src/tap/Ring.js';
import { Counters } from '../../src/tap/Counters.js';
import { RingTap } from '../../src/tap/RingTap.js';
import { readFacts, readRecords } from '../../src/tap/RecordReader.js';
import {
  Encoding,
  RecordKind,
  Track,
  audioBytes,
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
  for (const run of reader.peek())
    readRecords(run, (record) => records.push({ ...record, payload: record.payload.slice() }));
  reader.release();
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
  // No call may fill the ring alone, but five together do.
  const others = Array.from({ length: 4 }, () => tap.startCall(facts, 2).startStream(stream, 2));
  for (let i = 0; i < 30_000; i++) {
    for (const each of [media, ...others]) each.audio(Track.caller, Encoding.mulaw, frame, i * 20, 3 + i);
  }
  media.end({ reason: 'stop', closeCode: 1000 }, 40_000);
  call.end({ ended: true }, 40_001);
  const whole = takeAll(reader);
  tap.clock(50_000);
  const last = takeAll(reader);
  const sequences = [...whole, ...last].map((record) => record.sequence);
  t.equal(
    sequences.findIndex((sequence, index) => sequence !== index + 1),
    -1,
    'the ring’s sequence has no hole',
  );
  const isMine = ({ call, kind }: TapRecord): boolean => call === 1 || kind === RecordKind.clock;
  // What is told at its end may still find a place for which its audio was too large.
  const mine = [...whole, ...last].filter(isMine);
  const audio = mine.filter(({ kind }) => kind === RecordKind.audio).length;
  const rest = mine.slice(2 + audio);
  const kinds = rest.map((record) => record.kind);
  t.strictSame(kinds, [RecordKind.dropped, RecordKind.streamEnd, RecordKind.callEnd, RecordKind.clock]);
  const dropped = readFacts(rest[0] ?? fail()) as { records: number; sinceMs: number };
  t.equal(audio + dropped.records, 30_000);
  t.equal(dropped.sinceMs, 3 + audio);
  t.end();
});

void t.test(
  'what is dropped before a call has found room is reported behind its start, where it is missing',
  (t) => {
    const ring = createRing(capacity);
    const tap = new RingTap(ring);
    const reader = new RingReader(ring);
    const frame = new Uint8Array(160);
    const others = Array.from({ length: 5 }, () => tap.startCall(facts, 1).startStream(stream, 2));
    for (let i = 0; i < 30_000; i++) {
      for (const other of others) other.audio(Track.caller, Encoding.mulaw, frame, i * 20, 3);
    }
    const call = tap.startCall(facts, 100);
    const first = call.startStream(stream, 101);
    for (let i = 0; i < 5; i++) first.audio(Track.caller, Encoding.mulaw, frame, i * 20, 120 + i);
    first.end({ reason: 'stop', closeCode: 1000 }, 200);
    const second = call.startStream(stream, 300);
    for (let i = 0; i < 7; i++) second.audio(Track.caller, Encoding.mulaw, frame, i * 20, 320 + i);
    takeAll(reader);
    tap.clock(1000);
    const mine = takeAll(reader).filter((record) => record.call === 6);
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

void t.test('a hole behind a stream’s last word doesn’t end before it begins', (t) => {
  const ring = createRing(capacity);
  const tap = new RingTap(ring);
  const reader = new RingReader(ring);
  const call = tap.startCall(facts, 1);
  const media = call.startStream(stream, 2);
  fill(tap);
  // The bot goes on until it hears of the end, which is told with the time at which the caller said so.
  for (let i = 0; i < 5; i++) media.audio(Track.botSent, Encoding.mulaw, new Uint8Array(160), NaN, 220 + i);
  media.end({ reason: 'closed', closeCode: 1000 }, 200);
  const records = takeAll(reader);
  tap.clock(1000);
  records.push(...takeAll(reader));
  const mine = records.filter(({ call, arrivalMs }) => call === 1 && arrivalMs >= 200);
  t.strictSame(
    mine.map(({ kind, arrivalMs }) => [kind, arrivalMs]),
    [
      [RecordKind.dropped, 220],
      [RecordKind.streamEnd, 200],
    ],
  );
  t.end();
});

/** Fills the ring with what five other calls say, of which each may have its share. */
function fill(tap: RingTap): void {
  const others = Array.from({ length: 5 }, () => tap.startCall(facts, 1).startStream(stream, 1));
  const frame = new Uint8Array(160);
  for (let i = 0; i < 30_000; i++)
    for (const other of others) other.audio(Track.caller, Encoding.mulaw, frame, NaN, 1);
}

void t.test('a digit that is to be masked waits for room, and is not dropped', (t) => {
  const ring = createRing(capacity);
  const tap = new RingTap(ring);
  const reader = new RingReader(ring);
  const masked = tap.startCall({ ...facts, masksDigits: true }, 1).startStream(stream, 1);
  const open = tap.startCall(facts, 1).startStream(stream, 1);
  fill(tap);
  const arrivals = Array.from({ length: 20 }, (_, index) => 100 + index);
  for (const arrivalMs of arrivals) {
    masked.dtmf({ digit: '', durationMs: null }, arrivalMs);
    masked.audio(Track.caller, Encoding.mulaw, new Uint8Array(160), NaN, arrivalMs);
    open.dtmf({ digit: '5', durationMs: null }, arrivalMs);
  }
  const records = takeAll(reader);
  tap.clock(1000);
  records.push(...takeAll(reader));
  const digitsOf = (call: number): number[] =>
    records
      .filter((record) => record.call === call && record.kind === RecordKind.dtmf)
      .map(({ arrivalMs }) => arrivalMs);
  t.strictSame(digitsOf(1), arrivals);
  t.ok(digitsOf(2).length < 20, 'others are dropped like marks');
  const { frames, dropped } = accountOf(records, 1);
  t.equal(frames.length + dropped, 20, 'and the audio between them is a named loss');
  t.end();
});

void t.test('of a flood of digits so many wait, and the last one', (t) => {
  const ring = createRing(capacity);
  const counters = new Counters();
  const tap = new RingTap(ring, counters);
  const reader = new RingReader(ring);
  const masked = tap.startCall({ ...facts, masksDigits: true }, 1).startStream(stream, 1);
  fill(tap);
  const before = counters.get('tapDroppedRecords');
  for (let i = 0; i < 5000; i++) {
    masked.dtmf({ digit: '', durationMs: null }, 100 + i);
    if (i % 3 === 0) masked.audio(Track.caller, Encoding.mulaw, new Uint8Array(160), NaN, 100 + i);
  }
  const lost = counters.get('tapDroppedRecords') - before;
  const records = takeAll(reader);
  tap.clock(6000);
  records.push(...takeAll(reader));
  const digits = records.filter((record) => record.call === 1 && record.kind === RecordKind.dtmf);
  t.ok(digits.length >= 64 && digits.length < 70, `${digits.length} digits`);
  t.equal(digits[0]?.arrivalMs, 100);
  t.equal(digits.at(-1)?.arrivalMs, 5099);
  const { frames, dropped } = accountOf(records, 1);
  t.equal(frames.length + dropped, 1667, 'all of the audio is accounted for');
  t.equal(lost, 5000 - digits.length + dropped, 'and so are the digits');
  t.ok(records.filter(({ call, kind }) => call === 1 && kind === RecordKind.dropped).length <= 65);
  t.end();
});

void t.test('of audio that isn’t kept the ring has the length', (t) => {
  const ring = createRing(capacity);
  const media = new RingTap(ring).startCall(facts, 1).startStream(stream, 1);
  for (const bytes of [160, 320, 70_000]) media.muted(Track.caller, Encoding.mulaw, bytes, NaN, 2);
  const muted = takeAll(new RingReader(ring)).filter(({ kind }) => kind === RecordKind.muted);
  t.strictSame(muted.map(audioBytes), [160, 320, 70_000]);
  t.end();
});

/** What a reader that has everything finds of a call: frames by their number, and what it is told was dropped. */
function accountOf(records: readonly TapRecord[], call: number): { frames: number[]; dropped: number } {
  const mine = records.filter((record) => record.call === call);
  const drops = mine.filter(({ kind }) => kind === RecordKind.dropped).map(readFacts) as {
    records: number;
  }[];
  return {
    frames: mine.filter(({ kind }) => kind === RecordKind.audio).map(({ arrivalMs }) => arrivalMs),
    dropped: drops.reduce((sum, { records }) => sum + records, 0),
  };
}

void t.test('one greedy call beside twenty others costs them nothing while nobody reads', (t) => {
  const ring = createRing(64 * 1024 * 1024);
  const counters = new Counters();
  const tap = new RingTap(ring, counters);
  const reader = new RingReader(ring);
  const greedy = tap.startCall(facts, 0).startStream(stream, 0);
  const others = Array.from({ length: 20 }, () => tap.startCall(facts, 0).startStream(stream, 0));
  const frame = new Uint8Array(160);
  const utterance = new Uint8Array(16 * 1024 * 1024);
  // A minute without a recorder; every two seconds the greedy bot says 16 MiB at once.
  for (let ms = 20; ms <= 60_000; ms += 20) {
    for (const each of others) each.audio(Track.caller, Encoding.mulaw, frame, ms, ms);
    if (ms % 2000 === 20) greedy.audio(Track.botSent, Encoding.pcm16, utterance, NaN, ms);
    if (ms % 1000 === 0) tap.clock(ms);
  }
  tap.clock(60_001);
  const records = takeAll(reader);
  for (let call = 2; call <= 21; call++) {
    const { frames, dropped } = accountOf(records, call);
    t.equal(dropped, 0, `call ${call} has lost nothing`);
    t.equal(frames.length, 3000);
  }
  const { frames, dropped } = accountOf(records, 1);
  t.equal(frames.length, 31, 'half of the ring, but for what the others had in it');
  t.equal(frames.length + dropped, 30 * 16, 'and the rest is a named loss');
  t.equal(counters.get('tapDroppedRecords'), dropped);
  t.equal(counters.get('tapRingCapacityBytes'), 64 * 1024 * 1024);
  greedy.audio(Track.botSent, Encoding.pcm16, utterance, NaN, 60_002);
  t.equal(accountOf(takeAll(reader), 1).frames.length, 16, 'when somebody has read, it goes on');
  t.end();
});

void t.test(
  'calls that a late recorder costs audio have few gaps, and not one for each frame that finds room',
  (t) => {
    const ring = createRing(capacity);
    const tap = new RingTap(ring);
    const reader = new RingReader(ring);
    const streams = Array.from({ length: 50 }, () => tap.startCall(facts, 0).startStream(stream, 0));
    const frame = new Uint8Array(160);
    const records: TapRecord[] = [];
    let ms = 0;
    const say = (): void => {
      ms += 20;
      for (const each of streams) each.audio(Track.caller, Encoding.mulaw, frame, ms, ms);
    };
    for (let i = 0; i < 1000 && !tap.isOverfull; i++) say();
    t.ok(tap.isOverfull);
    // From now on it takes nine frames of ten.
    for (let turn = 0; turn < 2000; turn++) {
      say();
      const taken: TapRecord[] = [];
      for (const run of reader.peek())
        readRecords(run, (record) => {
          if (taken.length < 45) taken.push({ ...record, payload: record.payload.slice() });
        });
      reader.release(taken.reduce((sum, { payload }) => sum + recordBytes(payload.length), 0));
      records.push(...taken);
    }
    records.push(...takeAll(reader));
    t.notOk(tap.isOverfull);
    tap.clock(ms + 1);
    records.push(...takeAll(reader));
    for (let call = 1; call <= 50; call++) {
      const { frames, dropped } = accountOf(records, call);
      t.equal(frames.length + dropped, ms / 20, `all of call ${call} is accounted for`);
      t.ok(dropped > 0, 'and it has lost some');
      const told = records.filter((record) => record.call === call && record.kind === RecordKind.dropped);
      t.ok(told.length <= 3, `in ${told.length} gaps`);
    }
    t.end();
  },
);

void t.test('a large record that finds no room keeps nobody else’s frames out', (t) => {
  const ring = createRing(capacity);
  const tap = new RingTap(ring);
  const greedy = Array.from({ length: 8 }, () => tap.startCall(facts, 0).startStream(stream, 0));
  const quiet = tap.startCall(facts, 0).startStream(stream, 0);
  const large = new Uint8Array(600_000);
  for (let turn = 0; turn < 3; turn++)
    for (const each of greedy) each.audio(Track.botSent, Encoding.pcm16, large, NaN, turn);
  t.ok(new RingWriter(ring).usedBytes() > (capacity / 4) * 3);
  for (let ms = 20; ms <= 1000; ms += 20)
    quiet.audio(Track.caller, Encoding.mulaw, new Uint8Array(160), ms, ms);
  const { frames, dropped } = accountOf(takeAll(new RingReader(ring)), 9);
  t.same([frames.length, dropped], [50, 0]);
  t.end();
});

void t.test('what a call may hold depends on what it holds, whoever reads how fast', (t) => {
  const step = fc.record({
    call: fc.integer({ min: 0, max: 5 }),
    bytes: fc.integer({ min: 1, max: 1_048_576 }),
    reads: fc.integer({ min: 0, max: 3 }),
  });
  const quarter = capacity / 4;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const ring = createRing(capacity);
      const tap = new RingTap(ring);
      const reader = new RingReader(ring);
      const streams = Array.from({ length: 6 }, () => tap.startCall(facts, 0).startStream(stream, 0));
      takeAll(reader);
      const waiting: { call: number; size: number }[] = [];
      const seen = streams.map(() => ({ written: 0, told: 0 }));
      const take = (): void => {
        for (const { call, kind, payload } of takeAll(reader)) {
          const one = seen[call - 1];
          if (one === undefined) continue;
          if (kind === RecordKind.audio) one.written++;
          if (kind === RecordKind.dropped)
            one.told += (JSON.parse(Buffer.from(payload).toString()) as { records: number }).records;
        }
        waiting.length = 0;
      };
      const sizes = (call?: number): number =>
        waiting
          .filter((one) => call === undefined || one.call === call)
          .reduce((sum, { size }) => sum + size, 0);
      const said = streams.map(() => 0);
      steps.forEach(({ call, bytes, reads }, index) => {
        const size = recordBytes(bytes);
        const before = new RingWriter(ring).usedBytes();
        streams[call]?.audio(Track.caller, Encoding.mulaw, new Uint8Array(bytes), NaN, index);
        said[call] = (said[call] ?? 0) + 1;
        const isWritten = new RingWriter(ring).usedBytes() - before >= size;
        if (isWritten) waiting.push({ call, size });
        if (isWritten && before + size > capacity / 2 && sizes(call) > quarter)
          throw new Error('more than its share');
        if (!isWritten && before + size <= capacity / 2 - 2 * 1_048_576)
          throw new Error('limited for nothing');
        if (reads === 3) take();
      });
      take();
      tap.clock(1e6);
      take();
      seen.forEach(({ written, told }, call) => {
        if (written + told !== said[call])
          throw new Error(`${written} and ${told} are not ${said[call] ?? 0}`);
      });
    }),
    { numRuns: 150 },
  );
  t.pass('it holds');
  t.end();
});

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
