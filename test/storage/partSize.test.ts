import fc from 'fast-check';
import t from 'tap';
import {
  maxObjectBytes,
  maxPartBytes,
  maxParts,
  minPartBytes,
  partBytesFor,
  partsOf,
} from '../../src/storage/partSize.js';

const MiB = 2 ** 20;

void t.test('a part is as small as S3 lets it be', (t) => {
  t.equal(partBytesFor(0), 5 * MiB);
  t.equal(partBytesFor(50_000 * MiB), 5 * MiB, 'the most that 10,000 of the smallest hold');
  t.equal(partBytesFor(50_000 * MiB + 1), 6 * MiB);
  t.equal(partBytesFor(maxObjectBytes), 525 * MiB);
  t.throws(() => partBytesFor(maxObjectBytes + 1), { code: 'store_refused', blame: 'ours' });
  t.end();
});

void t.test(
  'for any length, parts lie end to end, are equal but the last, and are few and small enough',
  (t) => {
    const lengths = fc.oneof(
      fc.integer({ min: 0, max: 64 * MiB }),
      fc.integer({ min: 0, max: maxObjectBytes }),
      fc.integer({ min: -1, max: 1 }).map((off) => 50_000 * MiB + off),
    );
    fc.assert(
      fc.property(lengths, (total) => {
        const partBytes = partBytesFor(total);
        const parts = partsOf(total, partBytes);
        const ends = parts.map(({ start, bytes }) => start + bytes);
        return (
          partBytes >= minPartBytes &&
          partBytes <= maxPartBytes &&
          partBytes % MiB === 0 &&
          parts.length <= maxParts &&
          ends.at(-1) === total &&
          parts.every(({ number, start, bytes }, at) => {
            const isLast = at === parts.length - 1;
            return (
              number === at + 1 &&
              start === (ends[at - 1] ?? 0) &&
              (isLast ? bytes <= partBytes && (bytes > 0 || total === 0) : bytes === partBytes)
            );
          })
        );
      }),
      { numRuns: 200 },
    );
    t.end();
  },
);

void t.test('a length that is known to be a most gives parts that serve any shorter object too', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: maxObjectBytes }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (most, share) => {
        const partBytes = partBytesFor(most);
        return partsOf(Math.floor(most * share), partBytes).length <= maxParts;
      },
    ),
    { numRuns: 100 },
  );
  t.end();
});
