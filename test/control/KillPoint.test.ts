import t from 'tap';
import { KillPoint } from '../../src/control/KillPoint.js';
import { uploadFaults } from '../../src/control/uploadFaults.js';

await t.test('it kills at its step and turn, once, and at no other', (t) => {
  const killed: number[] = [];
  let at = 0;
  const third = new KillPoint('part_put:3', () => void killed.push(at));
  const first = new KillPoint('completed', () => void killed.push(-1));
  for (at = 1; at < 6; at++) {
    third.reached('part_put');
    third.reached('part_noted');
    first.reached('completing');
  }
  t.strictSame(killed, [3]);
  first.reached('completed');
  t.strictSame(killed, [3, -1]);
  t.end();
});

await t.test('without REELAY_FAULTS=1 the environment changes nothing', (t) => {
  const nothing = { clockSpeed: 1, killPoint: null };
  t.strictSame(uploadFaults({ REELAY_CLOCK_SPEED: '60', REELAY_KILL_AT: 'chunk_put' }), nothing);
  t.strictSame(uploadFaults({ REELAY_FAULTS: 'yes', REELAY_KILL_AT: 'no step' }), nothing);
  t.strictSame(uploadFaults({ REELAY_FAULTS: '1' }), nothing);
  const both = uploadFaults({ REELAY_FAULTS: '1', REELAY_CLOCK_SPEED: '60', REELAY_KILL_AT: 'chunk_put:2' });
  t.equal(both.clockSpeed, 60);
  t.ok(both.killPoint);
  t.end();
});

await t.test('what is no step and no speed is refused with a remedy', (t) => {
  for (const killAt of ['', 'nowhere', 'chunk_put:0', 'chunk_put:', 'chunk_put 2'])
    t.throws(() => uploadFaults({ REELAY_FAULTS: '1', REELAY_KILL_AT: killAt }), {
      code: 'config_invalid',
      remedy: /chunk_put.*folder_removed/,
    });
  for (const speed of ['', '0', '-1', 'fast', 'Infinity'])
    t.throws(() => uploadFaults({ REELAY_FAULTS: '1', REELAY_CLOCK_SPEED: speed }), {
      code: 'config_invalid',
    });
  t.end();
});
