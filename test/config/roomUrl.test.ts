import t from 'tap';
import { isRoomUrl, readRoomUrl } from '../../src/config/roomUrl.js';

await t.test('a room has a pattern, and what goes with it', (t) => {
  t.strictSame(readRoomUrl('livekit://call-{callId}'), {
    pattern: 'call-{callId}',
    agent: null,
    answerSeconds: 30,
    departureSeconds: 5,
  });
  t.strictSame(
    readRoomUrl('livekit://lobby?agent=front%20desk-1&answerSeconds=0&departureSeconds=3600'),
    undefined,
  );
  t.strictSame(readRoomUrl('livekit://lobby?agent=front-desk&answerSeconds=0&departureSeconds=3600'), {
    pattern: 'lobby',
    agent: 'front-desk',
    answerSeconds: 0,
    departureSeconds: 3600,
  });
  t.end();
});

await t.test('what cannot be a room is refused', (t) => {
  const wrong = [
    'wss://bot.example.com',
    'livekit://',
    'livekit://a/b',
    'livekit://a b',
    'livekit://{call id}',
    'livekit://{}',
    'livekit://{callId',
    `livekit://${'a'.repeat(129)}`,
    'livekit://a?agents=x',
    'livekit://a?agent=',
    'livekit://a?agent=x&agent=y',
    'livekit://a?answerSeconds=-1',
    'livekit://a?answerSeconds=1.5',
    'livekit://a?departureSeconds=3601',
    'livekit://a?b?c',
  ];
  for (const url of wrong) t.equal(readRoomUrl(url), undefined, url);
  t.ok(isRoomUrl('livekit://a?agents=x'), 'but is meant to be one, so that its fault can be told');
  t.notOk(isRoomUrl('https://livekit'));
  t.end();
});
