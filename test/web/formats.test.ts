import t from 'tap';
import { formatBytes } from '../../src/web/formatBytes.js';
import { formatTime, roughTime, spokenTime } from '../../src/web/formatTime.js';

void t.test('a time is cut to its decimals, and never shows what is not reached', (t) => {
  const times: readonly (readonly [number, number, string])[] = [
    [0, 0, '0:00'],
    [5.99, 0, '0:05'],
    [59.999, 1, '0:59.9'],
    [60, 0, '1:00'],
    [725, 0, '12:05'],
    [3600, 0, '1:00:00'],
    [3725.25, 2, '1:02:05.25'],
    [0.1 + 0.2, 1, '0:00.3'],
    [-3, 0, '0:00'],
    [Number.NaN, 1, '0:00.0'],
    [Infinity, 0, '0:00'],
  ];
  for (const [seconds, decimals, shown] of times) t.equal(formatTime(seconds, decimals), shown);
  t.end();
});

void t.test('a time in words leaves out what is nothing', (t) => {
  t.equal(spokenTime(0), '0 seconds');
  t.equal(spokenTime(61), '1 minute 1 second');
  t.equal(spokenTime(7320), '2 hours 2 minutes');
  t.end();
});

void t.test('a rough time is in its largest unit', (t) => {
  t.same([40, 89, 720, 12_600, 9 * 86_400].map(roughTime), ['40 s', '89 s', '12 min', '3.5 h', '9 days']);
  t.end();
});

void t.test('bytes are in the unit that suits them', (t) => {
  const sizes = [0, 512, 1023, 1024, 1536, 150 * 1024, 3 * 2 ** 30, Infinity].map(formatBytes);
  t.same(sizes, ['0 B', '512 B', '1023 B', '1 KiB', '1.5 KiB', '150 KiB', '3 GiB', 'unlimited']);
  t.end();
});
