import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { DeclinedRooms } from '../../src/relay/DeclinedRooms.js';

const hourMs = 3_600_000;
const log = pino({ level: 'silent' });

await t.test('what somebody wanted is written down, and what may be better next time isn’t', async (t) => {
  const dir = t.testdir({});
  const path = join(dir, 'rooms.json');
  const before = new DeclinedRooms(path, log);
  for (const why of ['ended', 'removed', 'paused', 'failed', 'unkept'] as const) {
    before.decline(why, why);
    t.equal(before.whyOf(why), why);
  }
  before.decline('allowed', 'ended');
  before.allow('allowed');
  await before.written();
  t.same(readdirSync(dir), ['rooms.json']);
  const after = new DeclinedRooms(path, log);
  after.load();
  t.same(
    ['ended', 'removed', 'paused', 'failed', 'unkept', 'allowed'].map((key) => after.whyOf(key)),
    ['ended', 'removed', 'paused', null, null, null],
  );
});

await t.test('a room is remembered as long as it is there, and for a day', (t) => {
  let nowMs = 0;
  const rooms = new DeclinedRooms(null, log, () => nowMs);
  rooms.decline('there', 'ended');
  rooms.decline('gone', 'ended');
  rooms.decline('failed', 'failed');
  nowMs = 300_000;
  t.equal(rooms.whyOf('failed'), null);
  for (nowMs = hourMs; nowMs < 48 * hourMs; nowMs += hourMs / 2) t.equal(rooms.whyOf('there'), 'ended');
  t.equal(rooms.whyOf('gone'), null);
  t.end();
});

await t.test('no more are remembered than may be', async (t) => {
  const path = join(t.testdir({}), 'rooms.json');
  const rooms = new DeclinedRooms(path, log);
  for (let i = 0; i < 4100; i++) rooms.decline(`room-${i}`, 'ended');
  t.equal(rooms.whyOf('room-99'), null);
  t.equal(rooms.whyOf('room-100'), 'ended');
  await rooms.written();
  const { rooms: kept } = JSON.parse(readFileSync(path, 'utf8')) as { rooms: unknown[] };
  t.equal(kept.length, 4000);
});

await t.test(
  'a file that can’t be read costs what it says, and one that can’t be written is told',
  async (t) => {
    const dir = t.testdir({
      'none.json': 'no json',
      'odd.json': '{"rooms":[1,["a"],["b","ended",1e15],["c","x",1e15]]}',
    });
    const lines: { msg: string }[] = [];
    const telling = pino({}, { write: (line: string) => lines.push(JSON.parse(line) as { msg: string }) });
    const none = new DeclinedRooms(join(dir, 'none.json'), telling);
    none.load();
    t.match(lines, [{ msg: /cannot be read/ }]);
    const odd = new DeclinedRooms(join(dir, 'odd.json'), telling);
    odd.load();
    t.same(
      ['a', 'b', 'c'].map((key) => odd.whyOf(key)),
      [null, 'ended', null],
    );
    const nowhere = new DeclinedRooms(join(dir, 'nowhere', 'rooms.json'), telling);
    nowhere.load();
    t.equal(lines.length, 1, 'one that isn’t there is nobody’s trouble');
    nowhere.decline('a', 'ended');
    await nowhere.written();
    t.match(lines[1], { msg: /cannot be written/ });
  },
);
