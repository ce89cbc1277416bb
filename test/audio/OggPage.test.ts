import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { mostSegments, oggChecksum, oggPage, oggSerialOf, segmentsOf } from '../../src/audio/OggPage.js';
import { pagesOf } from './fixtures/oggPages.js';

await t.test('a page is laid out as RFC 3533 says, byte by byte', (t) => {
  const packets = [Uint8Array.of(1, 2, 3), new Uint8Array(0), new Uint8Array(255).fill(9)];
  const page = oggPage({ isFirst: true, granule: 0x1_0203_0405, serial: 0x0a0b0c0d, sequence: 7, packets });
  const head = '4f676753' + '00' + '02' + '0504030201000000' + '0d0c0b0a' + '07000000';
  t.equal(page.toString('hex', 0, 22), head);
  t.equal(
    page.toString('hex', 26, 31),
    '04' + '0300ff00',
    'a packet of 255 bytes is ended by an empty segment',
  );
  t.equal(page.length, 31 + 3 + 255);
  t.equal(oggPage({ isLast: true, granule: 0, serial: 0, sequence: 0, packets: [] }).readUInt8(5), 4);
  t.end();
});

await t.test('the checksum is the one of pages that another program wrote', (t) => {
  const pages = pagesOf(readFileSync(join('test', 'audio', 'fixtures', 'tone.opus')));
  t.ok(pages.length >= 3);
  for (const { bytes, checksum } of pages) {
    const blank = Buffer.from(bytes);
    blank.writeUInt32LE(0, 22);
    t.equal(oggChecksum(blank), checksum);
  }
  t.equal(oggChecksum(new Uint8Array(0)), 0);
  t.end();
});

await t.test('what is packed is read again, whatever lengths the packets have', (t) => {
  const packet = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.integer({ min: 250, max: 1300 }).map((length) => new Uint8Array(length).fill(length & 255)),
  );
  const page = fc.record({
    packets: fc.array(packet, { maxLength: 40 }),
    granule: fc.nat({ max: 2 ** 45 }),
    serial: fc.nat({ max: 2 ** 32 - 1 }),
    sequence: fc.nat({ max: 2 ** 32 - 1 }),
    isFirst: fc.boolean(),
    isLast: fc.boolean(),
  });
  fc.assert(
    fc.property(page, (wanted) => {
      const needed = wanted.packets.reduce((sum, { length }) => sum + segmentsOf(length), 0);
      fc.pre(needed <= mostSegments);
      const [read, ...others] = pagesOf(oggPage(wanted));
      t.equal(others.length, 0);
      t.match(read, { ...wanted, packets: wanted.packets.map((bytes) => Buffer.from(bytes)) });
    }),
    { numRuns: 200 },
  );
  t.end();
});

await t.test('a page is full at 255 segments', (t) => {
  const page = (packets: Uint8Array[]) => oggPage({ granule: 0, serial: 0, sequence: 0, packets });
  const most = new Uint8Array(254 * 255 + 254);
  t.equal(pagesOf(page([most]))[0]?.packets[0]?.length, most.length);
  t.throws(() => page([most, new Uint8Array(0)]), RangeError);
  t.throws(() => page([new Uint8Array(255 * 255)]), RangeError);
  t.end();
});

await t.test('a serial number follows from a name, and another from another', (t) => {
  t.equal(oggSerialOf('a recording'), oggSerialOf('a recording'));
  t.not(oggSerialOf('a recording'), oggSerialOf('a recordinG'));
  t.ok(oggSerialOf('a recording') <= 0xffff_ffff);
  t.end();
});
