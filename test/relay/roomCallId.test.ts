import t from 'tap';
import { isSafeId } from '../../src/providers/Dialect.js';
import { roomCallId } from '../../src/relay/roomCallId.js';

await t.test('the call id of a room is its sid, or its name, or what of that can be a folder’s', (t) => {
  t.equal(roomCallId('support', 'RM_1'), 'RM_1');
  t.equal(roomCallId('support', null), 'support');
  t.equal(roomCallId('support', ''), 'support');
  t.equal(roomCallId('support', '../x'), 'support');
  t.match(roomCallId('the hall / 2', null), /^the-hall-2-[0-9a-f]{8}$/);
  t.match(roomCallId('会议', null), /^room-[0-9a-f]{8}$/);
  t.not(roomCallId('a/b', null), roomCallId('a b', null));
  for (const name of ['', '..', '../..', 'x'.repeat(1000), '-', 'a\0b']) {
    const callId = roomCallId(name, null);
    t.ok(isSafeId(callId), `${JSON.stringify(name.slice(0, 20))}: ${callId}`);
  }
  t.end();
});
