import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Manifest } from '../../src/spool/Manifest.js';
import { DamagedSpool } from './DamagedSpool.js';
import { DaemonProcess } from './DaemonProcess.js';
import { eventually } from './eventually.js';

// The uploader's pauses keep no process up by themselves.
const alive = setInterval(() => undefined, 1000);
t.teardown(() => clearInterval(alive));

// Every chunk that is sealed waits for the disk, which others may keep busy.
const patient = { timeout: 100_000 };

/** Some, and before them those that have found something once. */
const seeds = [774_199, 5019, 5134, 5374, 5429, 1, 2, 3, 4, 5, 6];

void t.test(
  'whatever lies in the spool, it is started on, and no audio is lost or given away',
  patient,
  async (t) => {
    const dir = t.testdir();
    // Others are tried by `npm run test:spool`; what fails here fails for everybody.
    for (const seed of seeds) {
      const { problems, mutations } = await DamagedSpool.run(join(dir, String(seed)), seed);
      t.strictSame(problems, [], `seed ${seed}: ${mutations.join('; ')}`);
    }
  },
);

void t.test(
  'a daemon starts among pipes, links and strangers, stores what is whole, and tells once',
  async (t) => {
    const dir = t.testdir();
    const spared = await DamagedSpool.lay(dir, 7);
    const spool = join(dir, 'spool');
    // Opening a pipe would wait for its other end for ever; a link leads out of the spool.
    const odd = join(spool, 'AC-a', '20261120', 'CA-odd', 'odd');
    mkdirSync(odd, { recursive: true });
    for (const name of ['manifest.json', 'upload.json', '0-audio.wav', '0-metadata.json'])
      execFileSync('mkfifo', [join(odd, name)]);
    symlinkSync('/etc', join(spool, 'AC-link'));
    writeFileSync(join(spool, 'README'), 'do not touch');
    writeFileSync(join(spool, '.reelay', 'notes'), 'of somebody');
    mkdirSync(join(spool, '.reelay', 'stranger', 'journal', '00000001.journal'), { recursive: true });
    const upstream = { twilio: 'ws://127.0.0.1:9', jambonz: 'ws://127.0.0.1:9' };
    const daemon = await DaemonProcess.start({ dir, accounts: [{ id: '*', upstream }] });
    t.teardown(() => daemon.kill());
    const manifestPath = join(daemon.storeDir, spared, 'manifest.json');
    await eventually('the recording that was spared is stored', () => existsSync(manifestPath));
    t.equal((JSON.parse(readFileSync(manifestPath, 'utf8')) as Manifest).state, 'complete');
    t.ok((await daemon.recordings()).length > 0);
    await eventually('the pipes are out of the way', () => !existsSync(join(odd, 'manifest.json')));
    const told = () => daemon.logged(50).filter(({ code }) => code === 'spool_unreadable');
    const alerts = () => told().filter(({ alert }) => alert === true);
    await eventually('it is told', () => alerts().length > 0 && told().length > alerts().length);
    t.ok((await daemon.metric('reelay_quarantined_files_total')) >= 1);
    t.equal(readFileSync(join(spool, 'README'), 'utf8'), 'do not touch');
    t.equal(readFileSync(join(spool, '.reelay', 'notes'), 'utf8'), 'of somebody');
    t.ok(readdirSync(join(spool, '.reelay', 'quarantine')).length > 0);
    await daemon.kill('SIGTERM');
    t.equal(alerts().length, 1, 'one alert');
  },
);
