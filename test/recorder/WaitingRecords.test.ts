import fc from 'fast-check';
import t from 'tap';
import { WaitingRecords } from '../../src/recorder/WaitingRecords.js';
import { maxPayloadBytes, RecordKind, type TapRecord } from '../../src/tap/TapRecord.js';
import { encodeRecords } from './encodeRecords.js';

type Said = Pick<TapRecord, 'kind' | 'call'> & { readonly bytes: number };

/** Numbered as they come. */
function recordsOf(said: readonly Said[]): TapRecord[] {
  return said.map(({ kind, call, bytes }, index) => ({
    kind,
    track: 1,
    encoding: 1,
    call: kind === RecordKind.clock ? 0 : call,
    stream: 1,
    arrivalMs: index,
    providerMs: NaN,
    sequence: index + 1,
    payload: new Uint8Array(bytes).fill(index),
  }));
}

/** What is given on, in that order; each is read while it is valid. */
class Given {
  readonly all: TapRecord[] = [];
  readonly waiting = new WaitingRecords((record) => {
    const { kind, track, encoding, call, stream, arrivalMs, providerMs, sequence } = record;
    const payload = Uint8Array.from(record.payload);
    this.all.push({ kind, track, encoding, call, stream, arrivalMs, providerMs, sequence, payload });
  });

  get sequences(): number[] {
    return this.all.map(({ sequence }) => sequence);
  }
}

const audio = (call: number, bytes = 160): Said => ({ kind: RecordKind.audio, call, bytes });
const saying = fc.record({
  kind: fc.oneof(
    { weight: 12, arbitrary: fc.constant(RecordKind.audio) },
    { weight: 2, arbitrary: fc.constantFrom(RecordKind.muted, RecordKind.mark, RecordKind.clear) },
    { weight: 1, arbitrary: fc.constantFrom(RecordKind.callStart, RecordKind.callEnd, RecordKind.clock) },
  ),
  call: fc.integer({ min: 1, max: 5 }),
  bytes: fc.integer({ min: 4, max: 400 }),
});

void t.test('each call’s records stay in order, and those of all with every clock', (t) => {
  fc.assert(
    fc.property(fc.array(fc.array(saying, { maxLength: 60 }), { maxLength: 8 }), (turns) => {
      const records = recordsOf(turns.flat());
      const given = new Given();
      let from = 0;
      for (const [index, { length }] of turns.entries()) {
        given.waiting.add(encodeRecords(records.slice(from, from + length)));
        from += length;
        if (index % 3 === 2) given.waiting.flush();
      }
      given.waiting.flush();
      t.equal(given.all.length, records.length, 'each is given once');
      for (const call of [1, 2, 3, 4, 5]) {
        // A clock belongs to every call.
        const of = (all: readonly TapRecord[]) => all.filter((each) => each.call === call || each.call === 0);
        t.strictSame(of(given.all), of(records), `call ${call}`);
      }
    }),
  );
  t.end();
});

void t.test('audio waits, and comes call by call', (t) => {
  const given = new Given();
  given.waiting.add(encodeRecords(recordsOf([audio(1), audio(2), audio(1), audio(2), audio(1)])));
  t.strictSame(given.sequences, []);
  given.waiting.flush();
  t.strictSame(given.sequences, [1, 3, 5, 2, 4]);
  given.waiting.flush();
  t.equal(given.all.length, 5, 'nothing comes twice');
  t.end();
});

void t.test('what is no audio takes along what its call has waiting, and nothing of others', (t) => {
  const given = new Given();
  const said = [audio(1), audio(2), audio(1), { kind: RecordKind.callEnd, call: 1, bytes: 8 }, audio(2)];
  given.waiting.add(encodeRecords(recordsOf(said)));
  t.strictSame(given.sequences, [1, 3, 4]);
  given.waiting.flush();
  t.strictSame(given.sequences, [1, 3, 4, 2, 5]);
  t.end();
});

void t.test('more than there is room for goes on at once', (t) => {
  const given = new Given();
  const records = recordsOf(
    Array.from({ length: 30 }, (_, index) => audio((index % 3) + 1, maxPayloadBytes)),
  );
  given.waiting.add(encodeRecords(records.slice(0, 6)));
  t.equal(given.all.length, 0);
  given.waiting.add(encodeRecords(records.slice(6)));
  t.ok(given.all.length >= 22, `of 30 MiB at most 8 wait: ${given.all.length} records were given`);
  given.waiting.flush();
  const byCall = (all: readonly TapRecord[], call: number) =>
    all.filter((each) => each.call === call).map(({ sequence }) => sequence);
  for (const call of [1, 2, 3]) t.strictSame(byCall(given.all, call), byCall(records, call));
  t.ok(given.all.every(({ sequence, payload }) => payload.at(-1) === sequence - 1));
  t.end();
});
