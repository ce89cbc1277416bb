import t from 'tap';
import { ReelayError } from '../../src/config/ReelayError.js';
import { voiceResponse } from '../../src/providers/twilio/voiceResponse.js';

await t.test('the answer to a voice webhook connects the call to the stream', (t) => {
  t.equal(
    voiceResponse({
      url: 'wss://relay.example.com/twilio',
      parameters: { reelayToken: 'r1.x', tenant: 'acme' },
    }),
    '<?xml version="1.0" encoding="UTF-8"?><Response><Connect><Stream url="wss://relay.example.com/twilio">' +
      '<Parameter name="reelayToken" value="r1.x"/><Parameter name="tenant" value="acme"/></Stream></Connect></Response>',
  );
  t.end();
});

await t.test('values are escaped, and what XML cannot hold is left out', (t) => {
  const xml = voiceResponse({ url: 'wss://h/t', parameters: { a: '"<&>\u0000\u0007' } });
  t.match(xml, /value="&quot;&lt;&amp;(>|&gt;)"/);
  t.end();
});

await t.test('a parameter that Twilio would refuse is an error that names it', (t) => {
  const long = { url: 'wss://h/t', parameters: { note: 'x'.repeat(496) } };
  t.throws(() => voiceResponse(long), ReelayError);
  t.match(voiceResponse({ url: 'wss://h/t', parameters: { note: 'x'.repeat(495) } }), /note/);
  t.end();
});
