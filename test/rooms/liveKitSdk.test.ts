import t from 'tap';
import { isBystander } from '../../src/rooms/liveKitSdk.js';

await t.test('a room is left when nobody talks in it but who streams it elsewhere', (t) => {
  t.equal(isBystander('EGRESS'), true);
  for (const kind of ['STANDARD', 'INGRESS', 'SIP', 'AGENT', 'UNKNOWN'])
    t.equal(isBystander(kind), false, kind);
  t.end();
});
