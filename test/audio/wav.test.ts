import { execFileSync, spawnSync } from 'node:child_process';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import {
  readWavHeader,
  wavHeader,
  wavHeaderBytes,
  wholeHeaderBytes,
  wholeWavHeader,
} from '../../src/audio/wav.js';

/** A RIFF chunk, padded to an even length. */
function chunk(id: string, body: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.write(id, 'latin1');
  head.writeUInt32LE(body.length, 4);
  return Buffer.concat([head, body, Buffer.alloc(body.length % 2)]);
}

function riff(...chunks: Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from('RIFF\x24\0\0\0WAVE', 'latin1'), ...chunks]);
}

const pcm = Buffer.from('0100020080bb000000ee020004001000', 'hex');

await t.test('the header of a stereo file, byte for byte', (t) => {
  const header = wavHeader({ sampleRate: 8000, channels: 2, samples: 480_000 });
  t.equal(
    Buffer.from(header).toString('hex'),
    '52494646244c1d0057415645666d7420' + '1000000001000200401f0000007d0000' + '0400100064617461004c1d00',
  );
  t.equal(header.length, wavHeaderBytes);
  t.end();
});

await t.test('a header that was written reads back', (t) => {
  const shape = fc.record({
    sampleRate: fc.integer({ min: 1, max: 192_000 }),
    channels: fc.integer({ min: 1, max: 8 }),
    samples: fc.integer({ min: 0, max: 100_000_000 }),
  });
  fc.assert(
    fc.property(shape, ({ sampleRate, channels, samples }) => {
      t.same(readWavHeader(wavHeader({ sampleRate, channels, samples })), {
        sampleRate,
        channels,
        bitsPerSample: 16,
        formatTag: 1,
        dataOffset: 44,
        dataBytes: samples * channels * 2,
      });
    }),
  );
  t.end();
});

await t.test('a file that would pass 4 GiB is refused at the first sample too many', (t) => {
  const largest = (0xffff_ffff - 37) / 2;
  const header = wavHeader({ sampleRate: 8000, channels: 1, samples: largest });
  t.equal(readWavHeader(header).dataBytes, 0xffff_ffff - 37);
  t.throws(() => wavHeader({ sampleRate: 8000, channels: 1, samples: largest + 1 }), {
    code: 'wav_too_long',
  });
  t.end();
});

await t.test('the header of a whole call keeps room for 64-bit sizes, byte for byte', (t) => {
  const header = Buffer.from(wholeWavHeader({ sampleRate: 8000, channels: 2, samples: 480_000 }));
  t.equal(header.length, wholeHeaderBytes);
  t.equal(
    header.toString('hex'),
    `52494646484c1d00574156454a554e4b1c000000${'00'.repeat(28)}` +
      '666d74201000000001000200401f0000007d00000400100064617461004c1d00',
  );
  t.end();
});

await t.test('past 4 GiB the same header is RF64, byte for byte', (t) => {
  // Two channels at 48 kHz for a day: 16 588 800 000 bytes, which is 0x3dcc50000.
  const header = Buffer.from(wholeWavHeader({ sampleRate: 48_000, channels: 2, samples: 4_147_200_000 }));
  t.equal(
    header.toString('hex'),
    `52463634ffffffff57415645647336341c0000004800c5dc030000000000c5dc03000000` +
      `004031f70000000000000000666d7420100000000100020080bb000000ee02000400100064617461ffffffff`,
  );
  t.end();
});

await t.test(
  'the header of a whole call reads back at any length, and is RF64 only where it has to be',
  (t) => {
    const shape = fc.record({
      sampleRate: fc.integer({ min: 1, max: 192_000 }),
      channels: fc.integer({ min: 1, max: 8 }),
      samples: fc.oneof(fc.maxSafeNat(), fc.nat(), fc.integer({ min: 536_870_800, max: 536_871_000 })),
    });
    fc.assert(
      fc.property(shape, ({ sampleRate, channels, samples }) => {
        fc.pre(samples * channels * 2 + wholeHeaderBytes <= Number.MAX_SAFE_INTEGER);
        const header = wholeWavHeader({ sampleRate, channels, samples });
        const { dataBytes, dataOffset, ...rest } = readWavHeader(header);
        t.same(rest, { sampleRate, channels, bitsPerSample: 16, formatTag: 1 });
        t.same([dataOffset, dataBytes], [wholeHeaderBytes, samples * channels * 2]);
        const isLong = dataBytes + wholeHeaderBytes - 8 > 0xffff_fffe;
        t.equal(Buffer.from(header).toString('latin1', 0, 4), isLong ? 'RF64' : 'RIFF');
      }),
      { numRuns: 300 },
    );
    t.throws(() => wholeWavHeader({ sampleRate: 8000, channels: 2, samples: Number.MAX_SAFE_INTEGER }), {
      code: 'wav_too_long',
    });
    t.end();
  },
);

await t.test('a RF64 whose sizes are not where they have to be is refused', (t) => {
  const good = Buffer.from(wholeWavHeader({ sampleRate: 8000, channels: 2, samples: 2 ** 32 }));
  const spoilt = (at: number, bytes: string) =>
    Buffer.concat([good.subarray(0, at), Buffer.from(bytes, 'latin1'), good.subarray(at + bytes.length)]);
  t.equal(readWavHeader(spoilt(76, '\x02\0\0\0')).dataBytes, 2, 'a size that fits is meant');
  t.throws(() => readWavHeader(spoilt(12, 'JUNK')), { code: 'wav_invalid' }, 'no ds64');
  t.throws(() => readWavHeader(spoilt(35, '\xff')), { code: 'wav_invalid' }, 'more than a file can have');
  const short = Buffer.concat([good.subarray(0, 12), chunk('ds64', Buffer.alloc(16)), good.subarray(48)]);
  t.throws(() => readWavHeader(short), { code: 'wav_invalid' }, 'a short ds64');
  t.end();
});

/** Asks a program of others, where there is one; undefined where there is none. */
function ask(program: string, ...args: string[]): string | undefined {
  if (spawnSync(program, ['--version']).error !== undefined) return undefined;
  return execFileSync(program, args, { encoding: 'utf8' });
}

await t.test('programs of others see what was meant, on both sides of 4 GiB', async (t) => {
  const dir = t.testdir({});
  for (const samples of [8000, 2 ** 30 + 4000]) {
    const path = join(dir, `${samples}.wav`);
    await writeFile(path, wholeWavHeader({ sampleRate: 8000, channels: 2, samples }));
    const file = await open(path, 'r+');
    await file.truncate(wholeHeaderBytes + samples * 4).finally(() => file.close());
    const seconds = samples / 8000;
    const probed = ask(
      'ffprobe',
      ...['-v', 'error', '-show_entries', 'stream=sample_rate,channels,duration', '-of', 'csv=p=0', path],
    );
    t.match(probed ?? '', probed === undefined ? '' : `8000,2,${seconds.toFixed(6)}`);
    // sox 14.4 doesn't know RF64 and reads on through all of such a file.
    if (samples < 2 ** 30) t.equal(ask('soxi', '-s', path)?.trim() ?? '8000', '8000');
  }
});

await t.test('unknown chunks are skipped, also those of odd length', (t) => {
  const file = riff(chunk('LIST', Buffer.from('abc')), chunk('fmt ', pcm), chunk('fact', Buffer.alloc(4)));
  const header = readWavHeader(Buffer.concat([file, chunk('data', Buffer.alloc(6))]));
  t.match(header, { sampleRate: 48_000, channels: 2, bitsPerSample: 16, formatTag: 1, dataBytes: 6 });
  t.equal(header.dataOffset, 12 + 12 + 24 + 12 + 8);
  t.end();
});

await t.test('an extensible header gives the tag of its sub-format', (t) => {
  const extensible = Buffer.concat([
    Buffer.from([0xfe, 0xff]),
    pcm.subarray(2),
    Buffer.from('16000000000000000700000000001000800000aa00389b71', 'hex'),
  ]);
  t.equal(readWavHeader(riff(chunk('fmt ', extensible), chunk('data', pcm))).formatTag, 7);
  t.end();
});

await t.test('what is not a WAV, or not a whole header, is refused', (t) => {
  const bad: [string, Uint8Array][] = [
    ['nothing', new Uint8Array(0)],
    ['text', Buffer.from('this is no audio at all, only text')],
    ['big-endian RIFX', Buffer.from('RIFX\0\0\0\0WAVEfmt ', 'latin1')],
    ['no data chunk', riff(chunk('fmt ', pcm))],
    ['data before the format', riff(chunk('data', pcm), chunk('fmt ', pcm))],
    ['a short format', riff(chunk('fmt ', pcm.subarray(0, 14)), chunk('data', pcm))],
    ['RF64 that is no WAVE', Buffer.from('RF64\xff\xff\xff\xffAVI ', 'latin1')],
    ['no channels', riff(chunk('fmt ', Buffer.alloc(16)), chunk('data', pcm))],
  ];
  for (const [name, bytes] of bad) t.throws(() => readWavHeader(bytes), { code: 'wav_invalid' }, name);
  t.end();
});

await t.test('any bytes give a header or wav_invalid, never anything else', (t) => {
  const long = Buffer.from(wholeWavHeader({ sampleRate: 8000, channels: 2, samples: 2 ** 40 }));
  const start = fc.constantFrom(Buffer.alloc(0), riff(), riff(chunk('fmt ', pcm)), long.subarray(0, 20));
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 100 }), (head, tail) => {
      try {
        readWavHeader(Buffer.concat([head, tail]));
      } catch (error) {
        t.match(error, { name: 'ReelayError', code: 'wav_invalid' });
      }
    }),
    { numRuns: 2000 },
  );
  t.end();
});
