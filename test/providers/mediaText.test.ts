import fc from 'fast-check';
import t from 'tap';
import { twilioDialect } from '../../src/providers/twilio/dialect.js';
import { findMedia } from '../../src/providers/twilio/mediaText.js';

const audio = Buffer.from(Uint8Array.from({ length: 160 }, (_, index) => (index * 37) & 255));
const spoken = {
  event: 'media',
  sequenceNumber: '3',
  media: { track: 'inbound', chunk: '1', timestamp: '5', payload: audio.toString('base64') },
  streamSid: 'MZ18ad3ab5a668481ce02b83e7395059f0',
};

/** The same for a parser, and nothing that is found without one. */
function withoutShortcut(data: Buffer): Buffer {
  return Buffer.concat([data.subarray(0, 1), Buffer.from('"unread":{},'), data.subarray(1)]);
}

function sameAs(text: string | Buffer): boolean {
  const data = Buffer.from(text);
  const parsed = withoutShortcut(data);
  // Of an invalid message the beginning is shown, which differs.
  const shown = (event: object) => JSON.stringify({ ...event, ...('value' in event ? { value: '' } : {}) });
  return (['readProvider', 'readUpstream'] as const).every(
    (read) => shown(twilioDialect[read](data, false)) === shown(twilioDialect[read](parsed, false)),
  );
}

void t.test('what providers and bots say is found without a parser', (t) => {
  const found = findMedia(Buffer.from(JSON.stringify(spoken)));
  t.strictSame(found, {
    payload: audio,
    track: 'inbound',
    timestampMs: 5,
    streamId: spoken.streamSid,
  });
  const answered = { event: 'media', streamSid: 'MZ1', media: { payload: '/w==' } };
  t.strictSame(findMedia(Buffer.from(JSON.stringify(answered, null, 2))), {
    payload: Buffer.from([255]),
    track: null,
    timestampMs: NaN,
    streamId: 'MZ1',
  });
  t.end();
});

void t.test('what isn’t fully understood is left to the parser', (t) => {
  const { media } = spoken;
  const others: readonly string[] = [
    '{"event":"media"}',
    JSON.stringify({ event: 'mark', mark: { name: 'm' }, media }),
    JSON.stringify({ ...spoken, streamSid: 7 }),
    JSON.stringify({ ...spoken, streamSid: 'MZé' }),
    JSON.stringify({ ...spoken, more: [] }),
    JSON.stringify({ ...spoken, more: 1.5 }),
    JSON.stringify({ ...spoken, media: { ...media, payload: '' } }),
    JSON.stringify({ ...spoken, media: { ...media, payload: 'AAAAA' } }),
    JSON.stringify({ ...spoken, media: { ...media, payload: 'AA=' } }),
    JSON.stringify({ ...spoken, media: { ...media, payload: 'A===' } }),
    JSON.stringify({ ...spoken, media: { ...media, payload: 'AA AAAA=' } }),
    JSON.stringify({ ...spoken, media: { ...media, payload: 'AA-_' } }),
    JSON.stringify({ ...spoken, media: { ...media, timestamp: '-5' } }),
    JSON.stringify({ ...spoken, media: { ...media, timestamp: '1234567890123456' } }),
    `${JSON.stringify(spoken)}x`,
    JSON.stringify(spoken).slice(0, -1),
    JSON.stringify(spoken).replace('"streamSid"', '"media":{},"streamSid"'),
    JSON.stringify(spoken).replace('"chunk"', '"payload":"AAAA","chunk"'),
    JSON.stringify(spoken).replace('inbound', 'in\\u0062ound'),
    JSON.stringify(spoken).replace('"5"', '05'),
  ];
  for (const text of others) {
    t.equal(findMedia(Buffer.from(text)), null, text.slice(0, 60));
    t.ok(sameAs(text), 'and what the parser makes of it stands');
  }
  for (const text of ['', '{}', '{', '"', '[]']) t.equal(findMedia(Buffer.from(text)), null, text);
  t.end();
});

const value = fc.oneof(
  fc.constantFrom('media', 'inbound', 'outbound', 'outbound_track', 'MZ1', '', '0', '20', '007', ' 5', '-1'),
  fc.integer({ min: -3, max: 2 ** 40 }),
  fc.constantFrom(null, true, 1.5, [], {}, 'ü', 'a\\b', '\u0000'),
  fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('base64')),
  fc.uint8Array({ minLength: 1, maxLength: 9 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
);
const members = (names: readonly string[]) =>
  fc.uniqueArray(fc.tuple(fc.constantFrom(...names), value), { selector: ([name]) => name });
const message = fc
  .tuple(
    members(['streamSid', 'sequenceNumber', 'other']),
    members(['payload', 'track', 'timestamp', 'chunk']),
    fc.constantFrom('media', 'media', 'media', 'mark', 'Media'),
    fc.constantFrom(undefined, 1, '\t'),
  )
  .map(([outer, inner, event, space]) =>
    JSON.stringify({ event, ...Object.fromEntries(outer), media: Object.fromEntries(inner) }, null, space),
  );

void t.test('whatever a message says, it says the same with a parser and without', (t) => {
  fc.assert(fc.property(message, sameAs), { numRuns: 3000 });
  t.end();
});

void t.test('so it does when bytes of it are others', (t) => {
  const whole = Buffer.from(JSON.stringify(spoken));
  const change = fc.tuple(fc.nat(whole.length - 2), fc.integer({ min: 0, max: 127 }));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
      const data = Buffer.from(whole);
      // The first byte has to stay, for the parser's message to be made.
      for (const [at, byte] of changes) data[at + 1] = byte;
      return sameAs(data);
    }),
    { numRuns: 5000 },
  );
  t.end();
});
