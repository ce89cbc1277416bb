import t from 'tap';
import fc from 'fast-check';
import twilio from 'twilio';
import {
  formParameters,
  signatureOf,
  urlCandidates,
  verifySignature,
} from '../../src/providers/twilio/signature.js';

const token = '12345678901234567890123456789012';
const upgrade = ['wss', 'ws'];

/** Whether an upgrade that was signed as `signed` is let in. */
function admits(
  signed: string,
  publicUrl: string | null,
  hostHeader: string | undefined,
  path: string,
): boolean {
  const candidates = urlCandidates({ publicUrl, hostHeader, path, schemes: upgrade });
  return verifySignature({ header: signatureOf(token, signed), tokens: [token], candidates });
}

await t.test("the example of Twilio's own documentation", (t) => {
  const params = {
    CallSid: 'CA1234567890ABCDE',
    Caller: '+14158675309',
    Digits: '1234',
    From: '+14158675309',
    To: '+18005551212',
  };
  t.equal(
    signatureOf('12345', 'https://mycompany.com/myapp.php?foo=1&bar=2', params),
    'RSOYDt4T1cUTdK1PDd93/VVr8B8=',
  );
  t.end();
});

await t.test("signatures equal those of Twilio's own package", (t) => {
  const value = fc.oneof(fc.string(), fc.array(fc.string(), { minLength: 2 }));
  const params = fc.dictionary(fc.string({ minLength: 1 }), value, { maxKeys: 8 });
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.webUrl(), params, (secret, url, params) => {
      const plain = { ...params };
      t.equal(signatureOf(secret, url, plain), twilio.getExpectedTwilioSignature(secret, url, plain));
    }),
    { numRuns: 200 },
  );
  t.end();
});

await t.test("what Twilio's helper gets wrong is right here, and what it gets right stays so", (t) => {
  // Signed URL, requested URL, what twilio 6.2.0 says, what must be said here.
  const table: [string, string, boolean, boolean][] = [
    ['wss://h/ms', 'wss://h/ms', true, true],
    ['wss://h/ms', 'https://h/ms', false, true],
    ['wss://h/ms/', 'wss://h/ms', false, true],
    ['wss://h/ms', 'wss://h/ms/', false, true],
    ['wss://h:443/ms', 'wss://h/ms', false, true],
    ['wss://h:8443/ms', 'wss://h:8443/ms', true, true],
    ['wss://h/ms', 'wss://h:8443/ms', true, true],
    ['wss://h:443/ms', 'wss://h:8443/ms', false, true],
    ['wss://h', 'wss://h', true, true],
    ['wss://h', 'wss://h/', false, true],
    ['wss://h/', 'wss://h', true, true],
    ['wss://h:80/ms', 'wss://h/ms', true, false],
    ['wss://H.Example.com/ms', 'wss://H.Example.com/ms', true, true],
    ['wss://h.example.com/ms', 'wss://H.Example.com/ms', true, true],
    ['ws://h:80/ms', 'wss://h/ms', false, true],
    ['wss://h/ms', 'wss://other/ms', false, false],
    ['wss://h/ms', 'wss://h/other', false, false],
    ['wss://h/ms', 'wss://h/MS', false, false],
  ];
  for (const [signed, requested, helper, own] of table) {
    const header = twilio.getExpectedTwilioSignature(token, signed, {});
    t.equal(
      twilio.validateRequest(token, header, requested, {}),
      helper,
      `helper: ${signed} as ${requested}`,
    );
    const [, origin = '', path = ''] = /^(\w+:\/\/[^/]+)(.*)$/.exec(requested) ?? [];
    t.equal(admits(signed, origin, undefined, path), own, `${signed} as ${requested}`);
  }
  t.end();
});

await t.test('the configured origin wins over the Host header, which is used only without one', (t) => {
  t.ok(admits('wss://relay.example.com/twilio', 'https://relay.example.com', '10.0.0.7:8080', '/twilio'));
  t.notOk(admits('wss://10.0.0.7:8080/twilio', 'https://relay.example.com', '10.0.0.7:8080', '/twilio'));
  t.ok(admits('wss://tunnel.example.com/twilio', null, 'tunnel.example.com', '/twilio'));
  t.ok(
    admits('wss://h/behind/proxy/twilio', 'https://h/behind/proxy/', 'x', '/twilio'),
    'a path prefix counts',
  );
  t.ok(admits('ws://[::1]:8080/twilio', null, '[::1]:8080', '/twilio'), 'an IPv6 literal');
  for (const host of [undefined, '', 'a b', 'h/evil', 'h@evil', 'h:port', 'h\r\nx']) {
    t.strictSame(urlCandidates({ publicUrl: null, hostHeader: host, path: '/', schemes: upgrade }), []);
  }
  t.strictSame(urlCandidates({ publicUrl: 'nonsense', hostHeader: 'h', path: '/', schemes: upgrade }), []);
  t.end();
});

await t.test('a query counts as part of the URL or as parameters', (t) => {
  t.ok(admits('wss://h/ms?b=2&a=1', 'wss://h', undefined, '/ms?b=2&a=1'));
  t.ok(admits('wss://h/ms/?b=2&a=1', 'wss://h', undefined, '/ms?b=2&a=1'), 'slash before the query');
  const split = signatureOf(token, 'wss://h/ms', { a: '1', b: '2' });
  const candidates = urlCandidates({
    publicUrl: 'wss://h',
    hostHeader: undefined,
    path: '/ms?b=2&a=1',
    schemes: upgrade,
  });
  t.ok(verifySignature({ header: split, tokens: [token], candidates }));
  t.notOk(admits('wss://h/ms?a=1&b=2', 'wss://h', undefined, '/ms?b=3&a=1'));
  t.end();
});

await t.test('a webhook is checked with its form', (t) => {
  const body = 'CallSid=CA1&From=%2B4930&Digits=1&Digits=1&Digits=0';
  const params = formParameters(body);
  t.strictSame(params, { CallSid: 'CA1', From: '+4930', Digits: ['1', '1', '0'] });
  const url = 'https://h/twilio/voice';
  const header = twilio.getExpectedTwilioSignature(token, url, params);
  const candidates = urlCandidates({
    publicUrl: 'https://h',
    hostHeader: undefined,
    path: '/twilio/voice',
    schemes: ['https', 'http'],
  });
  t.ok(verifySignature({ header, tokens: [token], candidates, params }));
  t.notOk(verifySignature({ header, tokens: [token], candidates, params: { ...params, From: '+1' } }));
  t.notOk(verifySignature({ header, tokens: [token], candidates }), 'the form belongs to the signature');
  t.end();
});

await t.test('nothing but a right signature of a known token is let in', (t) => {
  const candidates = urlCandidates({
    publicUrl: 'wss://h',
    hostHeader: undefined,
    path: '/ms',
    schemes: upgrade,
  });
  const header = signatureOf(token, 'wss://h/ms');
  t.ok(verifySignature({ header, tokens: ['new', token], candidates }), 'any of several tokens');
  t.notOk(verifySignature({ header, tokens: [], candidates }), 'no token admits nothing');
  t.notOk(verifySignature({ header, tokens: ['other'], candidates }));
  t.notOk(verifySignature({ header, tokens: [token], candidates: [] }));
  for (const wrong of [
    undefined,
    '',
    'x',
    header.slice(1),
    `${header}=`,
    header.toLowerCase(),
    'ÿ'.repeat(28),
  ]) {
    t.notOk(verifySignature({ header: wrong, tokens: [token], candidates }), String(wrong));
  }
  t.end();
});

await t.test('candidates are few and none comes twice', (t) => {
  const candidates = urlCandidates({
    publicUrl: 'https://H.example.com:8443',
    hostHeader: 'x',
    path: '/a?b=1',
    schemes: upgrade,
  });
  const texts = candidates.map((candidate) => JSON.stringify(candidate));
  t.equal(new Set(texts).size, texts.length);
  t.ok(texts.length <= 48, String(texts.length));
  t.equal(candidates[0]?.url, 'wss://H.example.com:8443/a?b=1');
  t.end();
});
