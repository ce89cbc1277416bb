import t from 'tap';
import { WrongKeys } from '../../src/control/api/WrongKeys.js';

const here = '192.0.2.1';

function guess(wrong: WrongKeys, address: string, count: number, nowMs = 0): void {
  for (let at = 0; at < count; at++) wrong.note(address, `guess ${at}`, nowMs);
}

void t.test('after twenty different wrong keys an address waits until a minute after the first', (t) => {
  const wrong = new WrongKeys();
  guess(wrong, here, 19);
  t.notOk(wrong.isBarred(here, 0));
  wrong.note(here, 'one more', 30_000);
  t.ok(wrong.isBarred(here, 30_000));
  t.ok(wrong.isBarred(here, 59_999));
  t.notOk(wrong.isBarred(here, 60_000));
  t.notOk(wrong.isBarred('192.0.2.2', 30_000));
  guess(wrong, here, 19, 60_000);
  t.notOk(wrong.isBarred(here, 60_001), 'what was counted before is over');
  t.end();
});

void t.test('the same wrong key counts once', (t) => {
  const wrong = new WrongKeys();
  for (let at = 0; at < 1000; at++) wrong.note(here, 'withdrawn', at);
  t.notOk(wrong.isBarred(here, 1000));
  t.end();
});

void t.test('an IPv6 network is one address, and so is an IPv4 address in either form', (t) => {
  const wrong = new WrongKeys();
  for (let at = 0; at < 20; at++) wrong.note(`2001:db8::${at}:1`, `guess ${at}`, 0);
  t.ok(wrong.isBarred('2001:db8:0:0:ffff::', 0));
  t.ok(wrong.isBarred('2001:0db8:0000::', 0));
  t.notOk(wrong.isBarred('2001:db8:0:1::', 0));
  guess(wrong, '::ffff:192.0.2.9', 20);
  t.ok(wrong.isBarred('192.0.2.9', 0));
  t.end();
});

void t.test('what is remembered is bounded', (t) => {
  const wrong = new WrongKeys();
  guess(wrong, here, 20);
  for (let at = 0; at < 10_000; at++) wrong.note(`10.0.${at >> 8}.${at & 255}`, 'guess', 0);
  t.notOk(wrong.isBarred(here, 0), 'the oldest is forgotten');
  t.end();
});
