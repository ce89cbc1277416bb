import fc from 'fast-check';
import t from 'tap';
import { withoutSecrets } from '../../src/control/library/withoutSecrets.js';

const nobody = { numbers: [], stacks: false };

await t.test('what an error says in passing is taken out, and the rest stays', (t) => {
  const line = {
    level: 50,
    time: 1_795_000_000_000,
    recordingId: '01a1fb21-aaaa-7bbb-8ccc-1234567890ab',
    msg: 'storing failed; trying again',
    folder: 'AC1/20261120/CA1/01a1fb21-aaaa-7bbb-8ccc-1234567890ab',
    problems: { token_invalid: 2, payload_empty: 1 },
    err: {
      type: 'Error',
      message:
        'PUT https://me:hush@bucket.example/a/b?X-Amz-Signature=hush&x=1 refused, Bearer hush.hush-hush for +49 (30) 123456, sip:hush@example.org',
      stack: 'Error: hush',
      headers: { Authorization: 'hush', 'x-twilio-signature': 'hush', accept: '*/*' },
      secretAccessKey: ['hush'],
    },
    why: 'whsec_aHVzaGh1c2hodXNo',
  };
  const cleaned = withoutSecrets(line, nobody);
  t.notMatch(JSON.stringify(cleaned), /hush|123456\D|aHVzaG/);
  t.match(cleaned, {
    level: 50,
    time: 1_795_000_000_000,
    recordingId: line.recordingId,
    folder: line.folder,
    problems: { token_invalid: 2, payload_empty: 1 },
    err: {
      message: 'PUT https://bucket.example/a/b?… refused, (left out) for (left out), (left out)',
      headers: { accept: '*/*' },
    },
  });
  t.end();
});

await t.test('numbers of the manifest, and for admins where an error came from, stay', (t) => {
  const line = { err: { message: '+49 30 123456 called +15550100', stack: 'at f (file:///x.js:1:2)' } };
  t.match(withoutSecrets(line, { numbers: ['+4930123456', null], stacks: true }), {
    err: { message: '+49 30 123456 called (left out)', stack: 'at f (file:///x.js:1:2)' },
  });
  t.end();
});

await t.test('whatever a line holds, it is read, and the query of no URL is in what comes out', (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.domain(), fc.string(), (value, host, text) => {
      const secret = `s${text.replace(/[^0-9a-f]/g, '')}ecret`;
      const line = { value, at: `before https://${host}/path?key=${secret} after` };
      const cleaned = withoutSecrets(line, nobody);
      return !JSON.stringify(cleaned['at']).includes(secret) && String(cleaned['at']).endsWith(' after');
    }),
  );
  t.end();
});
