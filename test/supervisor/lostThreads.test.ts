import { execFileSync } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { kernels } from '../../src/audio/kernels.js';
import { Bot } from '../../src/simulators/Bot.js';
import { CallerAudio } from '../../src/simulators/CallerAudio.js';
import { TwilioCaller } from '../../src/simulators/TwilioCaller.js';
import { DaemonProcess } from '../acceptance/DaemonProcess.js';
import { eventually } from '../acceptance/eventually.js';
import { loudVoice } from '../acceptance/voice.js';

interface Ready {
  readonly ready: boolean;
  readonly recording: string;
  readonly threads: Readonly<Record<string, string>>;
}

t.jobs = 3;
/** Less than a second of a call. */
const env = { REELAY_FAULTS: '1', REELAY_SEGMENT_BYTES: '16384' };

async function start(dir: string, upstream: string): Promise<DaemonProcess> {
  const accounts = [{ id: '*', upstream, resumeSeconds: 0 }];
  const daemon = await DaemonProcess.start({ dir, accounts, env, config: { media: { drainSeconds: 1 } } });
  t.teardown(() => daemon.kill());
  return daemon;
}

/**
 * Opening a journal's second segment hangs from now on, as it would on a disk that hangs; the first one may be open already.
 *
 * @returns its path
 */
async function hangAtNextSegment({ spoolDir }: DaemonProcess): Promise<string> {
  const daemons = join(spoolDir, '.reelay');
  // A daemon is ready for calls before its recorder is.
  const journal = await eventually('the recorder has a journal', () =>
    readdirSync(daemons)
      .map((name) => join(daemons, name, 'journal'))
      .find((path) => existsSync(path)),
  );
  const segment = join(journal, '00000002.journal');
  execFileSync('mkfifo', [segment]);
  return segment;
}

function caller(url: string, seconds: number): TwilioCaller {
  const said = loudVoice(1, seconds * 8000);
  const mulaw = new Uint8Array(said.length);
  kernels.encodeMulaw(said, mulaw);
  kernels.decodeMulaw(mulaw, said);
  return new TwilioCaller({
    url,
    audio: new CallerAudio(said, { sampleRate: 8000 }),
    seconds,
    accountSid: 'AC1',
  });
}

void t.test(
  'a recorder that is lost again and again is an alert; the daemon takes calls all the while',
  async (t) => {
    const bot = new Bot({ echo: true });
    const { url } = await bot.listen();
    t.teardown(() => bot.close());
    const daemon = await start(t.testdir({}), url);
    const readiness = async () => {
      const response = await fetch(`http://127.0.0.1:${daemon.mediaPort}/readyz`);
      t.equal(response.status, 200);
      return (await response.json()) as Ready;
    };
    for (let loss = 0; loss < 3; loss++) {
      await eventually('the recorder is ready', async () => (await readiness()).recording === 'ready');
      const before = daemon.logs.length;
      await daemon.fault('recorder', 'exit');
      await eventually('it is lost', () =>
        daemon.logs
          .slice(before)
          .some(({ worker, msg }) => worker === 'recorder' && msg.includes('started again')),
      );
    }
    const alerts = () =>
      daemon.logs.filter(
        ({ alert, resolved, code }) => alert === true && resolved !== true && code === 'thread_lost',
      );
    const ofRecorder = () => alerts().filter(({ worker }) => worker === 'recorder');
    await eventually('there is an alert', () => ofRecorder().length > 0);
    const counted = await daemon.metric('reelay_alerts_total{alert="thread_lost"}');
    // Where the machine is so busy that control is lost as well, that is an alert of its own, and a successor tells what it finds.
    const controls = 1 + (await daemon.metric('reelay_control_restarts_total'));
    if (controls === 1) {
      t.equal(ofRecorder().length, 1, 'it is told once');
      t.equal(counted, alerts().length);
    } else t.ok(ofRecorder().length <= controls, 'no control thread tells it twice');
    t.equal(await daemon.metric('reelay_recorder_restarts_total'), 3);
  },
);

void t.test(
  'a recorder that the disk does not give back costs no call, and does not keep the daemon from ending',
  async (t) => {
    const bot = new Bot({ echo: true });
    const { url } = await bot.listen();
    t.teardown(() => bot.close());
    const daemon = await start(t.testdir({}), url);
    const ready = async () => await daemon.json<Ready>('/readyz');
    const segment = await hangAtNextSegment(daemon);
    const calling = caller(daemon.media('/twilio'), 5).call();
    await eventually('the recorder is stuck', async () => (await ready()).recording === 'stuck');
    const during = await ready();
    t.match(during, { ready: true, threads: { recorder: 'stuck', media: 'ready' } });
    const result = await calling;
    t.equal(result.framesSent, 250);
    t.equal(result.refused, null);
    const frames = bot.calls[0]?.frames.map(({ sequence }) => sequence) ?? [];
    t.equal(frames.length, 250, 'the bot heard all of it');
    await eventually('there is an alert', () =>
      daemon.logs.some(({ alert, worker }) => alert === true && worker === 'recorder'),
    );
    const again = daemon.logs.filter(({ worker }) => worker === 'recorder').length;
    t.ok(again <= 5, `${again} lines about it`);
    closeSync(openSync(segment, constants.O_RDONLY | constants.O_NONBLOCK));
    unlinkSync(segment);
    await eventually('the recorder is back', async () => (await ready()).recording === 'ready');
    t.ok(await daemon.stored(result.callSid), 'when the disk answers, the call is recorded and stored');
  },
);

void t.test('a daemon whose recorder hangs in the system ends when it is told to', async (t) => {
  const bot = new Bot({ echo: true });
  const { url } = await bot.listen();
  t.teardown(() => bot.close());
  const daemon = await start(t.testdir({}), url);
  await hangAtNextSegment(daemon);
  const calling = caller(daemon.media('/twilio'), 3).call();
  await eventually(
    'the recorder is lost',
    async () => (await daemon.json<Ready>('/readyz')).recording !== 'ready',
  );
  await calling;
  t.strictSame(await daemon.kill('SIGTERM'), { code: null, signal: 'SIGKILL' });
});
