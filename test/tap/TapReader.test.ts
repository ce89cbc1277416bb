import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import t from 'tap';
import { RingWriter, createRing, endProducer } from '../../src/tap/Ring.js';
import { SharedSequence } from '../../src/tap/Sequence.js';
import { TapReader } from '../../src/tap/TapReader.js';
import { readRecords } from '../../src/tap/RecordReader.js';
import { recordHeaderBytes } from '../../src/tap/TapRecord.js';

const capacity = 4 * 1024 * 1024;

/** A ring and its producer, which writes records whose payload repeats their number. */
class Producer {
  readonly ring: SharedArrayBuffer;
  readonly #writer: RingWriter;
  readonly #sequence: SharedSequence;

  constructor(sequence: SharedSequence, ring = createRing(capacity)) {
    this.#sequence = sequence;
    this.ring = ring;
    this.#writer = new RingWriter(ring);
  }

  write(payloadBytes = 8): number {
    const number = this.#sequence.next();
    this.show(number, payloadBytes);
    return number;
  }

  /** Writes the record of a number that was taken before. */
  show(number: number, payloadBytes = 8): void {
    const { view, bytes } = this.#writer;
    const offset = this.#writer.reserve(payloadBytes);
    if (offset < 0) throw new Error('the ring is full');
    view.setUint32(offset, recordHeaderBytes + payloadBytes, true);
    view.setFloat64(offset + 32, number, true);
    bytes.fill(number & 255, offset + recordHeaderBytes, offset + recordHeaderBytes + payloadBytes);
    this.#writer.commit();
  }
}

/** What a recorder does: journals what is new, then gives the rings their room back. */
class Consumer {
  readonly numbers: number[] = [];
  #last: number;

  constructor(last = 0) {
    this.#last = last;
  }

  drain(reader: TapReader, nowMs = 0): this {
    while (this.take(reader, nowMs) > 0) reader.release();
    reader.release();
    return this;
  }

  /** @returns how many pieces were shown; they are still the rings' */
  take(reader: TapReader, nowMs = 0): number {
    const { pieces, first, last } = reader.peek(this.#last, nowMs);
    const before = this.numbers.length;
    for (const piece of pieces) {
      readRecords(piece, ({ sequence, payload }) => {
        if (payload.some((byte) => byte !== (sequence & 255))) throw new Error('a payload was damaged');
        this.numbers.push(sequence);
      });
    }
    if (pieces.length === 0) return 0;
    if (this.numbers[before] !== first || this.numbers.at(-1) !== last)
      throw new Error('it tells other numbers');
    this.#last = last;
    return pieces.length;
  }

  get last(): number {
    return this.#last;
  }
}

function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}

function pair() {
  const sequence = new SharedSequence();
  const [a, b] = [new Producer(sequence), new Producer(sequence)];
  return { sequence, a, b, reader: new TapReader([a.ring, b.ring]) };
}

void t.test('records of two rings come in the order of their numbers, however they were written', (t) => {
  const step = fc.record({
    isFirst: fc.boolean(),
    bytes: fc.integer({ min: 0, max: 200_000 }),
    drains: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { a, b, reader } = pair();
      const consumer = new Consumer();
      let last = 0;
      let waiting = 0;
      for (const { isFirst, bytes, drains } of steps) {
        last = (isFirst ? a : b).write(bytes);
        waiting += bytes;
        if (!drains && waiting < capacity / 4) continue;
        consumer.drain(reader);
        waiting = 0;
      }
      consumer.drain(reader);
      if (consumer.numbers.join() !== upTo(last).join()) throw new Error(consumer.numbers.join());
      if (!reader.isEmpty) throw new Error('something is left');
    }),
    { numRuns: 100 },
  );
  t.pass('none was lost, and none was shown before its turn');
  t.end();
});

void t.test('what comes after a record that is about to be shown waits for it', (t) => {
  const { sequence, a, b, reader } = pair();
  const consumer = new Consumer();
  a.write();
  const taken = sequence.next();
  a.write();
  a.write();
  t.same(consumer.drain(reader).numbers, [1]);
  t.notOk(reader.isEmpty);
  b.show(taken);
  t.same(consumer.drain(reader).numbers, [1, 2, 3, 4]);
  t.ok(reader.isEmpty);
  t.end();
});

void t.test('a producer that stands still for long loses nothing', (t) => {
  const { sequence, a, b, reader } = pair();
  const consumer = new Consumer();
  a.write();
  const taken = sequence.next();
  a.write();
  t.same(consumer.drain(reader, 0).numbers, [1]);
  t.same(consumer.drain(reader, 60_000).numbers, [1]);
  b.show(taken);
  t.same(consumer.drain(reader, 60_001).numbers, [1, 2, 3]);
  t.end();
});

void t.test('a number that never comes is waited for, but not for ever', (t) => {
  const { sequence, a, b, reader } = pair();
  const consumer = new Consumer();
  sequence.next();
  a.write();
  b.write();
  t.same(consumer.drain(reader, 0).numbers, []);
  t.same(consumer.drain(reader, 900).numbers, []);
  t.same(consumer.drain(reader, 1000).numbers, [2, 3]);
  a.write();
  t.same(
    consumer.drain(reader, 1001).numbers,
    [2, 3, 4],
    'the next one is waited for no longer than it takes',
  );
  t.end();
});

void t.test('a successor goes on where its predecessor ended, wherever that was', (t) => {
  const { a, b, reader } = pair();
  for (const producer of [a, b, b, a, b, a, a, b]) producer.write();
  const first = new Consumer();
  first.take(reader);
  // It ended after the journal had them, and before the rings had their room back.
  const successor = new Consumer(first.last);
  a.write();
  b.write();
  const other = new TapReader([a.ring, b.ring]);
  t.same([...first.numbers, ...successor.drain(other).numbers], upTo(10));
  t.ok(other.isEmpty);
  t.end();
});

void t.test('nothing is copied, and what was not shown is not given back', (t) => {
  const { a, b, reader } = pair();
  for (const producer of [a, a, b, a]) producer.write();
  const { pieces, first, last } = reader.peek(0);
  t.strictSame(
    pieces.map(({ buffer }) => buffer),
    [a.ring, b.ring, a.ring],
  );
  t.strictSame([first, last], [1, 4]);
  a.write();
  reader.release();
  t.strictSame(new Consumer(4).drain(reader).numbers, [5]);
  t.ok(reader.isEmpty);
  t.end();
});

void t.test('a single ring is read as it is', (t) => {
  const producer = new Producer(new SharedSequence());
  const reader = new TapReader([producer.ring]);
  for (let count = 0; count < 5; count++) producer.write();
  const { pieces, last } = reader.peek(2);
  t.strictSame([pieces.length, pieces[0]?.buffer, last], [1, producer.ring, 5]);
  reader.release();
  t.strictSame(reader.peek(5).pieces, []);
  t.end();
});

void t.test('a ring without a producer costs nothing, and one that gets it later loses nothing', (t) => {
  const sequence = new SharedSequence();
  const a = new Producer(sequence);
  const late = createRing(capacity);
  const reader = new TapReader([a.ring, late]);
  const consumer = new Consumer();
  a.write();
  a.write();
  t.equal(consumer.take(reader), 1, 'read as it is, like a single ring');
  reader.release();
  const b = new Producer(sequence, late);
  const taken = sequence.next();
  a.write();
  t.same(consumer.drain(reader).numbers, [1, 2], 'from its beginning on it is waited for');
  b.show(taken);
  t.same(consumer.drain(reader, 60_000).numbers, [1, 2, 3, 4]);
  t.ok(reader.isEmpty);
  t.end();
});

void t.test('a number that a thread took with it is waited for no longer than a second', async (t) => {
  const numbers = new SharedArrayBuffer(8);
  const sequence = new SharedSequence(numbers);
  const main = new Producer(sequence);
  const ring = createRing(capacity);
  const reader = new TapReader([main.ring, ring]);
  let last = 0;
  let lost = 0;
  for (let life = 0; life < 60; life++) {
    const filler = new Worker(new URL('./ringFiller.js', import.meta.url), { workerData: { ring, numbers } });
    await once(filler, 'message');
    await filler.terminate();
    const own = main.write();
    const before = take(life);
    if (before < own) {
      t.equal(before, own - 2, 'one alone is missing');
      t.equal(take(life + 0.9), before, 'it isn’t there');
      endProducer(ring);
      take(life + 0.9);
      t.equal(take(life + 2), own, 'what comes behind is shown all the same');
      lost++;
    } else endProducer(ring);
  }
  t.comment(`${lost} of 60 threads have taken a number with them`);

  /** @returns the last number that was shown so far */
  function take(seconds: number): number {
    const shown = reader.peek(last, seconds * 1000);
    last = Math.max(last, shown.last);
    reader.release();
    return last;
  }
});

void t.test('a number that somebody else has is waited for, whoever is ended', (t) => {
  const sequence = new SharedSequence();
  const [main, other] = [new Producer(sequence), new Producer(sequence)];
  const reader = new TapReader([main.ring, other.ring]);
  const consumer = new Consumer();
  main.write();
  t.same(consumer.drain(reader).numbers, [1]);
  const taken = sequence.next();
  other.write();
  endProducer(other.ring);
  t.same(consumer.drain(reader, 0).numbers, [1]);
  t.same(consumer.drain(reader, 60_000).numbers, [1]);
  main.show(taken);
  t.same(consumer.drain(reader, 60_000).numbers, [1, 2, 3]);
  t.end();
});
