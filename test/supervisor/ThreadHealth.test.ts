import fc from 'fast-check';
import t from 'tap';
import { ThreadHealth } from '../../src/supervisor/ThreadHealth.js';

void t.test('one or two quick restarts are no trouble, the third within a minute is', (t) => {
  const health = new ThreadHealth();
  for (const [loss, changed] of [
    [0, false],
    [1000, false],
    [59_999, true],
  ] as const) {
    health.lost(loss);
    health.works(loss + 100);
    t.equal(health.look(loss + 200), changed, `lost after ${loss} ms`);
  }
  t.ok(health.isInTrouble);
  health.lost(60_500);
  t.notOk(health.look(60_600), 'and is told once');
  health.works(61_000);
  t.notOk(health.look(90_999));
  t.ok(health.look(91_000), 'until it has worked for half a minute');
  t.notOk(health.isInTrouble);
  t.end();
});

void t.test('three losses in more than a minute are none', (t) => {
  const health = new ThreadHealth();
  for (const loss of [0, 30_000, 60_000]) {
    health.lost(loss);
    health.works(loss + 100);
    t.notOk(health.look(loss + 200));
  }
  t.end();
});

void t.test('one that does not come back within five seconds is in trouble', (t) => {
  const health = new ThreadHealth();
  health.lost(1000);
  t.notOk(health.look(5999));
  t.ok(health.look(6000));
  t.notOk(health.look(600_000), 'however long');
  t.ok(health.isInTrouble);
  t.end();
});

void t.test('whatever happens, trouble begins and ends in turn, and never while it works well', (t) => {
  const step = fc.record({ what: fc.constantFrom('lost', 'works', 'nothing'), afterMs: fc.nat(40_000) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const health = new ThreadHealth();
      let [nowMs, lostMs, told] = [0, -Infinity, false];
      for (const { what, afterMs } of steps) {
        nowMs += afterMs;
        if (what === 'lost') {
          health.lost(nowMs);
          lostMs = nowMs;
        } else if (what === 'works') health.works(nowMs);
        if (health.look(nowMs)) told = !told;
        if (told !== health.isInTrouble) return false;
        if (lostMs === -Infinity && told) return false;
      }
      return true;
    }),
  );
  t.end();
});
