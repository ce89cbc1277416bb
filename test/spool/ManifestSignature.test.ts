import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  isSignedBy,
  publicKeyIn,
  signatureBytes,
  signatureOf,
  signingKeyIn,
} from '../../src/spool/ManifestSignature.js';

const pair = generateKeyPairSync('ed25519', {
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const manifest = '{ "recordingId": "ä" }\n';
const signature = signatureOf(manifest, signingKeyIn(pair.privateKey));

await t.test('what is signed is known by its key, to every byte', (t) => {
  const keys = [publicKeyIn(pair.publicKey)];
  const bytes = Buffer.from(manifest);
  t.equal(signature.length, signatureBytes);
  t.ok(isSignedBy(bytes, signature, keys));
  for (let at = 0; at < bytes.length; at++) {
    const other = Buffer.from(bytes);
    other[at] = (other[at] ?? 0) ^ 1;
    t.notOk(isSignedBy(other, signature, keys));
  }
  for (const odd of [
    Buffer.alloc(0),
    signature.subarray(1),
    Buffer.alloc(64),
    Buffer.concat([signature, signature]),
  ])
    t.notOk(isSignedBy(bytes, odd, keys));
  const other = generateKeyPairSync('ed25519').publicKey;
  t.notOk(isSignedBy(bytes, signature, [other]));
  t.ok(isSignedBy(bytes, signature, [other, ...keys]));
  t.notOk(isSignedBy(bytes, signature, []));
  t.end();
});

await t.test('openssl says the same', (t) => {
  const dir = t.testdir({});
  const [key, text, sig] = ['public.pem', 'manifest.json', 'manifest.json.sig'].map((name) =>
    join(dir, name),
  );
  writeFileSync(key ?? '', pair.publicKey);
  writeFileSync(text ?? '', manifest);
  writeFileSync(sig ?? '', signature);
  const asked = ['pkeyutl', '-verify', '-pubin', '-inkey', key, '-rawin', '-in', text, '-sigfile', sig];
  const { status, stderr, error } = spawnSync('openssl', asked.map(String), { encoding: 'utf8' });
  // Not every machine that runs the tests has it; those of CI do.
  if (error !== undefined && process.env['CI'] === undefined) t.comment('there is no openssl');
  else t.equal(status, 0, stderr);
  t.end();
});

await t.test('another kind of key is refused', (t) => {
  const rsa = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  for (const pem of [rsa.privateKey, pair.publicKey, '', 'key'])
    t.throws(() => signingKeyIn(pem), { code: 'config_invalid' });
  for (const pem of [rsa.publicKey, '', 'key']) t.throws(() => publicKeyIn(pem), { code: 'config_invalid' });
  t.end();
});
