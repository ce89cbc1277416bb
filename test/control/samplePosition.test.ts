import t from 'tap';
import { samplePosition, sampleRange } from '../../src/control/api/samplePosition.js';

const clock = { sampleRate: 8000, startTime: '2026-11-20T12:00:00.000Z', gaps: [] };
const refused = { name: 'ReelayError', code: 'request_invalid' };

await t.test('a position is a sample, seconds, or a time of the wall clock', (t) => {
  const positions = {
    '0': 0,
    '8000': 8000,
    '0s': 0,
    '1.5s': 12_000,
    '0.0001s': 1,
    '2026-11-20T12:00:01.500Z': 12_000,
    '2026-11-20T12:00:01Z': 8000,
    '2026-11-20T13:00:01.5+01:00': 12_000,
    '2026-11-20T11:59:59Z': 0,
  };
  for (const [text, sample] of Object.entries(positions)) t.equal(samplePosition(text, clock), sample, text);
  t.equal(samplePosition('1s', { ...clock, sampleRate: 11_025 }), 11_025);
  t.end();
});

await t.test('anything else is refused', (t) => {
  for (const text of [
    ...['', ' ', '-1', '1.5', '1,5s', 's', '.5s', '1.s', '1e3', '0x10', 'NaN', 'Infinity', '1s2', '8000 '],
    ...['2026-11-20', '2026-11-20T12:00:01', '2026-13-20T12:00:01Z', '12:00:01Z', '1'.repeat(16)],
  ])
    t.throws(() => samplePosition(text, clock), refused, JSON.stringify(text));
  t.end();
});

await t.test('a stretch is cut to what there is', (t) => {
  const range = (from?: string, to?: string) => sampleRange({ from, to }, clock, 16_000);
  t.same(range(), { start: 0, end: 16_000 });
  t.same(range('0.5s'), { start: 4000, end: 16_000 });
  t.same(range(undefined, '1s'), { start: 0, end: 8000 });
  t.same(range('2026-11-20T12:00:01Z', '99s'), { start: 8000, end: 16_000 });
  t.same(range('15999'), { start: 15_999, end: 16_000 });
  t.same(sampleRange({}, clock, 0), { start: 0, end: 0 }, 'all of nothing');
  t.end();
});

await t.test('a stretch without length, or behind the end, is refused', (t) => {
  const range = (from?: string, to?: string) => sampleRange({ from, to }, clock, 16_000);
  t.throws(() => range('8000', '8000'), refused);
  t.throws(() => range('2s', '1s'), refused);
  t.throws(() => range(undefined, '0'), refused);
  t.throws(() => range('16000'), { code: 'range_unsatisfiable', remedy: /16000/ });
  t.throws(() => range('20000', '30000'), { code: 'range_unsatisfiable' });
  t.end();
});
