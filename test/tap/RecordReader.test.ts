import fc from 'fast-check';
import t from 'tap';
import { readRecords, unreadIn } from '../../src/tap/RecordReader.js';
import { RingReader, RingWriter, createRing } from '../../src/tap/Ring.js';
import { RecordKind, recordBytes, type TapRecord } from '../../src/tap/TapRecord.js';
import { encodeRecords } from '../recorder/encodeRecords.js';

function record(sequence: number, payload: Uint8Array): TapRecord {
  return {
    kind: RecordKind.audio,
    track: 1,
    encoding: 1,
    call: sequence + 1,
    stream: 2 ** 32 - 1,
    arrivalMs: sequence / 3,
    providerMs: sequence % 2 === 0 ? NaN : -sequence,
    sequence,
    payload,
  };
}

/** Each with a payload of its own length, some of them empty. */
function recordsOf(sizes: readonly number[], first = 1): TapRecord[] {
  return sizes.map((size, index) => record(first + index, new Uint8Array(size).fill(first + index)));
}

function sequencesIn(pieces: readonly Uint8Array[]): number[] {
  const found: number[] = [];
  for (const piece of pieces) readRecords(piece, ({ sequence }) => found.push(sequence));
  return found;
}

void t.test('records are read as they were written, one object becoming each in turn', (t) => {
  const records = recordsOf([160, 0, 7, 8, 1]);
  const seen = new Set<TapRecord>();
  const found: TapRecord[] = [];
  const offsets: number[] = [];
  readRecords(encodeRecords(records), (each, offset) => {
    seen.add(each);
    const { kind, track, encoding, call, stream, arrivalMs, providerMs, sequence } = each;
    const payload = Uint8Array.from(each.payload);
    found.push({ kind, track, encoding, call, stream, arrivalMs, providerMs, sequence, payload });
    offsets.push(offset);
  });
  t.strictSame(found, records);
  t.equal(seen.size, 1);
  t.strictSame(offsets, [0, 200, 240, 288, 336]);
  t.end();
});

void t.test(
  'a record that reaches beyond its bytes is refused, and so is one that is shorter than its header',
  (t) => {
    const bytes = encodeRecords(recordsOf([10, 20]));
    const view = new DataView(bytes.buffer);
    const second = recordBytes(10);
    for (const length of [39, 0, 61 + 8, 2 ** 32 - 1]) {
      view.setUint32(second, length, true);
      const read: number[] = [];
      t.throws(
        () => readRecords(bytes, ({ sequence }) => read.push(sequence)),
        RangeError,
        `${length} bytes`,
      );
      t.strictSame(read, [1]);
      t.throws(() => unreadIn([bytes], 0), RangeError);
    }
    t.end();
  },
);

void t.test('what comes after a sequence is found, however it is cut into runs', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.nat(50), { maxLength: 5 }), { maxLength: 4 }),
      fc.nat(24),
      (cuts, after) => {
        let next = 1;
        const runs = cuts.map((sizes) => {
          const run = encodeRecords(recordsOf(sizes, next));
          next += sizes.length;
          return run;
        });
        const { pieces, first, last } = unreadIn(runs, after);
        const expected = Array.from(
          { length: Math.max(0, next - 1 - after) },
          (_, index) => after + 1 + index,
        );
        t.strictSame(sequencesIn(pieces), expected);
        t.strictSame([first, last], expected.length === 0 ? [0, 0] : [expected[0], expected.at(-1)]);
        t.ok(
          pieces.every((piece) => runs.some((run) => run.buffer === piece.buffer)),
          'nothing is copied',
        );
      },
    ),
    { numRuns: 200 },
  );
  t.end();
});

void t.test('a ring that has begun anew shows both of its runs at once, and gets all of it back', (t) => {
  const ring = createRing(0);
  const writer = new RingWriter(ring);
  const reader = new RingReader(ring);
  let sequence = 0;
  const write = (size: number): boolean => {
    const offset = writer.reserve(size);
    if (offset < 0) return false;
    const bytes = encodeRecords([record(++sequence, new Uint8Array(size))]);
    writer.bytes.set(bytes, offset);
    writer.commit();
    return true;
  };
  const size = 999_960;
  for (let times = 0; times < 4; times++) t.ok(write(size));
  t.notOk(write(size));
  t.equal(reader.peek().length, 1);
  reader.release();
  t.equal(writer.usedBytes(), 0);
  t.ok(write(100_000));
  t.ok(write(size), 'behind a skip marker, at the beginning');
  const runs = reader.peek();
  t.equal(runs.length, 2);
  t.strictSame(sequencesIn(runs), [5, 6]);
  t.strictSame(sequencesIn(reader.peek()), [5, 6], 'what is not released is shown again');
  t.ok(write(10));
  reader.release();
  t.strictSame(sequencesIn(reader.peek()), [7], 'only what was shown is given back');
  reader.release();
  t.equal(writer.usedBytes(), 0);
  t.strictSame(reader.peek(), []);
  t.end();
});
