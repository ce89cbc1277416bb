import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Verdict } from '../../src/cli/verify.js';
import { TwilioCaller } from '../../src/simulators/TwilioCaller.js';
import { DaemonProcess } from './DaemonProcess.js';
import { eventually } from './eventually.js';
import { runCommand } from './runCommand.js';

/* Manifests that a real daemon has signed, checked by the real command. */

function keysIn(dir: string) {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const files = { signing: join(dir, 'signing.pem'), public: join(dir, 'public.pem') };
  writeFileSync(files.signing, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(files.public, publicKey.export({ type: 'spki', format: 'pem' }));
  return files;
}

async function findingsIn(...args: string[]): Promise<{ code: number; findings: string[] }> {
  const { code, out, err } = await runCommand('verify', ...args, '--json');
  if (out === '') throw new Error(err);
  return {
    code,
    findings: (JSON.parse(out) as Verdict[]).flatMap((each) => each.findings.map((one) => one.code)),
  };
}

void t.test('what a daemon stores is signed, and nobody else changes it unseen', async (t) => {
  const dir = t.testdir({ daemon: {}, other: {} });
  const [keys, others] = [keysIn(dir), keysIn(join(dir, 'other'))];
  // Where the store would be lies a file for now.
  const home = join(dir, 'daemon');
  const taken = join(home, 'place');
  writeFileSync(taken, 'a file');
  const storeDir = join(taken, 'recordings');
  const daemon = await DaemonProcess.start({
    dir: home,
    chunkSeconds: 1,
    accounts: [{ id: 'AC1', resumeSeconds: 0, store: { type: 'file', dir: storeDir } }],
    config: { recording: { signingKeyFile: keys.signing } },
  });
  t.teardown(() => daemon.kill());
  const callSid = randomUUID();
  await new TwilioCaller({ url: daemon.media('/twilio'), accountSid: 'AC1', callSid, seconds: 2.5 }).call();
  await eventually('its call is over', async () => {
    const [one] = await daemon.recordings(`&callId=${callSid}`);
    return one !== undefined && one.state !== 'recording';
  });
  t.match(
    await findingsIn(daemon.spoolDir, '--public-key', keys.public),
    { code: 1, findings: ['signature_missing'] },
    'what waits in the spool is whole, and nobody has signed it yet',
  );
  t.same(await findingsIn(daemon.spoolDir), { code: 0, findings: [] });
  rmSync(taken);
  mkdirSync(taken);
  daemon.reload();
  await eventually('it is stored', async () => (await daemon.spooled()).length === 0);
  for (const target of [storeDir, callSid])
    t.same(
      await findingsIn(target, '--store', storeDir, '--spool', daemon.spoolDir, '--public-key', keys.public),
      { code: 0, findings: [] },
      target,
    );
  t.same(
    await findingsIn(storeDir, '--public-key', others.public, keys.public),
    { code: 0, findings: [] },
    'one of several keys is enough',
  );
  t.same(await findingsIn(storeDir, '--public-key', others.public), {
    code: 1,
    findings: ['signature_wrong'],
  });
  const [one] = await daemon.recordings(`&callId=${callSid}`);
  const { folder } = one as unknown as { folder: string };
  const manifest = join(storeDir, folder, 'manifest.json');
  const text = await readFile(manifest, 'utf8');
  // The recording says the same of itself as before; only whose call it was is another's.
  await writeFile(manifest, text.replace('"direction": null', '"direction": "inbound"'));
  t.not(await readFile(manifest, 'utf8'), text, 'it was edited');
  t.same(await findingsIn(storeDir), { code: 0, findings: [] }, 'nothing contradicts anything');
  t.same(await findingsIn(storeDir, '--public-key', keys.public), { code: 1, findings: ['signature_wrong'] });
  rmSync(`${manifest}.sig`);
  t.same(await findingsIn(storeDir, '--public-key', keys.public), {
    code: 1,
    findings: ['signature_missing'],
  });
});
