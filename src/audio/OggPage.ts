/*
 * Pages of the Ogg container (RFC 3533). Pure: values in, bytes out. A packet here lies in one page whole, which packets of
 * codecs for speech always can.
 */

/** A page of one logical stream. */
export interface OggPage {
  /** The stream's first page, which holds nothing but the packet that says what it is. */
  readonly isFirst?: boolean;
  readonly isLast?: boolean;
  /** Position of the end of the page's last packet, in the units of the codec. */
  readonly granule: number;
  /** Tells the stream from others in the same file, 0 to 2^32 - 1. */
  readonly serial: number;
  /** Counted from 0. */
  readonly sequence: number;
  /** Together they need {@link mostSegments} segments at most. */
  readonly packets: readonly Uint8Array[];
}

/** What a page has room for, by the one byte that counts them (section 6). */
export const mostSegments = 255;

/** Header of a page without its table of segments, bytes. */
const headBytes = 27;
const checksumOffset = 22;
const flags = { first: 2, last: 4 } as const;

/** Segments that a packet of so many bytes needs: full ones of 255, and one that isn't full, for that ends the packet. */
export function segmentsOf(bytes: number): number {
  return Math.floor(bytes / 255) + 1;
}

/** @throws RangeError when the packets need more segments than a page has */
export function oggPage({ isFirst, isLast, granule, serial, sequence, packets }: OggPage): Buffer {
  const table = packets.flatMap(({ length }) => [
    ...Array.from({ length: segmentsOf(length) - 1 }, () => 255),
    length % 255,
  ]);
  if (table.length > mostSegments) throw new RangeError(`${table.length} segments do not fit into a page`);
  const head = Buffer.alloc(headBytes);
  head.write('OggS', 0, 'latin1');
  head.writeUInt8((isFirst === true ? flags.first : 0) | (isLast === true ? flags.last : 0), 5);
  head.writeBigInt64LE(BigInt(granule), 6);
  head.writeUInt32LE(serial, 14);
  head.writeUInt32LE(sequence, 18);
  head.writeUInt8(table.length, 26);
  const page = Buffer.concat([head, Uint8Array.from(table), ...packets]);
  page.writeUInt32LE(oggChecksum(page), checksumOffset);
  return page;
}

/** For each byte in front of the sum what it does to the sum. */
const checksumTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte << 24;
  for (let bit = 0; bit < 8; bit++) sum = (sum << 1) ^ (sum < 0 ? 0x04c1_1db7 : 0);
  return sum;
});

/** CRC-32 of the polynomial 0x04c11db7 from 0, not reflected (section 6, field 7). */
export function oggChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) sum = (sum << 8) ^ (checksumTable[(sum >>> 24) ^ byte] ?? 0);
  return sum >>> 0;
}

/** A stream's serial number that is the same whenever it is made of the same thing. */
export function oggSerialOf(name: string): number {
  return oggChecksum(Buffer.from(name));
}
