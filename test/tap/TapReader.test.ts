import fc from 'fast-check';
import t from 'tap';
import { unread } from '../../src/recorder/JournalReader.js';
import { RingWriter, createRing } from '../../src/tap/Ring.js';
import { SharedSequence } from '../../src/tap/Sequence.js';
import { TapReader } from '../../src/tap/TapReader.js';
import { readRecords } from '../../src/tap/RecordReader.js';
import { recordHeaderBytes } from '../../src/tap/TapRecord.js';

const capacity = 4 * 1024 * 1024;

/** A ring and its producer, which writes records whose payload repeats their number. */
class Producer {
  readonly ring = createRing(capacity);
  readonly #writer = new RingWriter(this.ring);
  readonly #sequence: SharedSequence;

  constructor(sequence: SharedSequence) {
    this.#sequence = sequence;
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
    for (let bytes = this.take(reader, nowMs); bytes > 0; bytes = this.take(reader, nowMs)) reader.release();
    return this;
  }

  /** @returns the bytes that were shown; they are still the rings' */
  take(reader: TapReader, nowMs = 0): number {
    const shown = reader.peek(this.#last, nowMs);
    if (shown.length === 0) return 0;
    const { records, last } = unread(shown, this.#last);
    readRecords(records, ({ sequence, payload }) => {
      if (payload.some((byte) => byte !== (sequence & 255))) throw new Error('a payload was damaged');
      this.numbers.push(sequence);
    });
    this.#last = Math.max(this.#last, last);
    return shown.length;
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

void t.test('what one ring alone has to show is not copied', (t) => {
  const { a, b, reader } = pair();
  a.write();
  a.write();
  t.equal(reader.peek(0).buffer, a.ring);
  reader.release();
  b.write();
  t.equal(reader.peek(2).buffer, b.ring);
  reader.release();
  a.write();
  b.write();
  const both = reader.peek(3);
  t.not(both.buffer, a.ring);
  t.same(unread(both, 3), { records: both, first: 4, last: 5 });
  reader.release();
  t.ok(reader.isEmpty);
  t.end();
});

void t.test('a single ring is read as it is', (t) => {
  const producer = new Producer(new SharedSequence());
  const reader = new TapReader([producer.ring]);
  for (let count = 0; count < 5; count++) producer.write();
  const bytes = reader.peek(0);
  t.equal(bytes.buffer, producer.ring);
  reader.release();
  t.equal(reader.peek(5).length, 0);
  t.end();
});
