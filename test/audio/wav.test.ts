import fc from 'fast-check';
import t from 'tap';
import { readWavHeader, wavHeader, wavHeaderBytes } from '../../src/audio/wav.js';

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
    ['no channels', riff(chunk('fmt ', Buffer.alloc(16)), chunk('data', pcm))],
  ];
  for (const [name, bytes] of bad) t.throws(() => readWavHeader(bytes), { code: 'wav_invalid' }, name);
  t.end();
});

await t.test('any bytes give a header or wav_invalid, never anything else', (t) => {
  const start = fc.constantFrom(Buffer.alloc(0), riff(), riff(chunk('fmt ', pcm)));
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
