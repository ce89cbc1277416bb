import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { readSpeech } from '../audio/Speech.js';
import { implementation, kernels } from '../audio/kernels.js';
import { channelOf, samplesOf } from '../audio/pcm.js';
import { readWavHeader } from '../audio/wav.js';
import { Bot } from '../simulators/Bot.js';
import { CallerAudio } from '../simulators/CallerAudio.js';
import type { CallResult } from '../simulators/CallResult.js';
import { speechFile } from '../simulators/speechFile.js';
import { TwilioCaller } from '../simulators/TwilioCaller.js';
import { RecordingFolder } from '../spool/RecordingFolder.js';
import type { Manifest } from '../spool/Manifest.js';
import { DemoProgress } from './DemoProgress.js';
import { mergeRecording, type Merged } from './merge.js';
import { textTable } from './textTable.js';
import { verdictOn, type Verdict } from './verify.js';

/*
 * `npm run demo`: a daemon, a bot and a caller on this machine. The caller talks with real speech through reelay to the bot,
 * who answers faster than real time as bots do; meanwhile two further callers, one through reelay and one straight to an
 * echoing bot, measure what the relay adds. At the end the recording is checked, merged into one file, and a table printed.
 */
const seconds = 18;
const probeSeconds = 10;
const chunkSeconds = 5;
const output = resolve('recordings');
const account = 'ACdemo0000000000000000000000000000';
const probeAccount = 'ACprobe000000000000000000000000000';

interface Ports {
  readonly mediaPort: number;
  readonly controlPort: number;
}

/** Configuration of a daemon that serves the two demo accounts on loopback. */
function configOf(folder: string, talkUrl: string, echoUrl: string): string {
  const common = { resumeSeconds: 0, store: { type: 'file', dir: output } };
  return JSON.stringify({
    media: { host: '127.0.0.1', port: 0 },
    control: { host: '127.0.0.1', port: 0 },
    spool: { dir: join(folder, 'spool') },
    recording: { chunkSeconds },
    log: { level: 'info' },
    accounts: [
      { id: account, upstream: `${talkUrl}/twilio`, ...common },
      { id: probeAccount, upstream: `${echoUrl}/twilio`, record: 'never', ...common },
    ],
  });
}

async function startDaemon(folder: string, config: string): Promise<{ daemon: ChildProcess; ports: Ports }> {
  const file = join(folder, 'reelay.json');
  await writeFile(file, config);
  const entry = fileURLToPath(new URL('./reelay.cjs', import.meta.url));
  const daemon = spawn(process.execPath, [entry, 'serve', '--config', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ports = await new Promise<Ports>((found, failed) => {
    daemon.once('exit', (code) =>
      failed(new Error(`The daemon ended with ${String(code)} before it was ready.`)),
    );
    createInterface(daemon.stdout).on('line', (line) => {
      const entry = JSON.parse(line) as Partial<Ports> & { msg?: string };
      if (entry.mediaPort !== undefined && entry.controlPort !== undefined) {
        found({ mediaPort: entry.mediaPort, controlPort: entry.controlPort });
      }
    });
  });
  return { daemon, ports };
}

async function stopDaemon(daemon: ChildProcess): Promise<number | null> {
  if (daemon.exitCode !== null) return daemon.exitCode;
  const exited = new Promise<number | null>((resolve) => daemon.once('exit', resolve));
  daemon.kill('SIGTERM');
  return exited;
}

/** Two callers at once to the same echoing bot, one of them through the relay. */
async function probe(ports: Ports, echoUrl: string): Promise<{ relayed: CallResult; direct: CallResult }> {
  const audio = await CallerAudio.read(speechFile('caller'), { sampleRate: 8000, loop: true });
  const caller = (url: string): TwilioCaller =>
    new TwilioCaller({ url, audio, seconds: probeSeconds, accountSid: probeAccount });
  const [relayed, direct] = await Promise.all([
    caller(`ws://127.0.0.1:${ports.mediaPort}/twilio`).call(),
    caller(`${echoUrl}/twilio`).call(),
  ]);
  return { relayed, direct };
}

async function talk(ports: Ports): Promise<{ result: CallResult; manifest: Manifest }> {
  const audio = await CallerAudio.read(speechFile('caller'), { sampleRate: 8000, loop: true });
  const url = `ws://127.0.0.1:${ports.mediaPort}/twilio`;
  const caller = new TwilioCaller({ url, audio, seconds, accountSid: account });
  const progress = new DemoProgress(`http://127.0.0.1:${ports.controlPort}`, caller.callSid);
  progress.start();
  const result = await caller.call();
  const manifest = await progress.finished();
  return { result, manifest };
}

/** How many of the caller's frames are in the recording at their place, sample by sample; the caller knows what it sent. */
async function framesRecorded(result: CallResult, merged: Merged): Promise<{ sent: number; found: number }> {
  const file = await readFile(merged.path);
  const caller = channelOf(samplesOf(file.subarray(readWavHeader(file).dataOffset)), 0, merged.channels);
  const frames = result.streams[0]?.frames ?? [];
  const found = frames.filter(({ payload, sampleStart }) => {
    const pcm = new Int16Array(payload.length);
    kernels.decodeMulaw(payload, pcm);
    return pcm.every((sample, i) => caller[sampleStart + i] === sample);
  });
  return { sent: frames.length, found: found.length };
}

function table(
  call: { frames: { sent: number; found: number }; verdict: Verdict; merged: Merged },
  probes: { relayed: CallResult; direct: CallResult },
): string {
  const { verdict, merged, frames } = call;
  const relayed = probes.relayed.latency;
  const direct = probes.direct.latency;
  const percent = (verdict.completeness ?? []).map((share) => `${(share * 100).toFixed(2)} %`).join(' / ');
  const added = (with_: number, without: number): string =>
    `${(with_ - without).toFixed(2)} ms (round trip ${with_.toFixed(2)} against ${without.toFixed(2)} without)`;
  return textTable([
    ['duration', `${merged.durationSeconds.toFixed(2)} s`],
    ['chunks', `${verdict.chunks} of up to ${chunkSeconds} s`],
    ['completeness', `${percent} (caller / bot)`],
    ['gaps', String(verdict.gaps ?? 'unknown')],
    ['caller', `${frames.found} of ${frames.sent} frames in the recording, sample by sample`],
    ['files', verdict.whole ? 'headers, hashes and hash chain agree' : 'FAULTS FOUND'],
    ['relay adds, p50', added(relayed.p50, direct.p50)],
    ['relay adds, p99', added(relayed.p99, direct.p99)],
    ['audio kernels', implementation],
    ['recording', relative('.', verdict.folders[0] ?? '')],
    ['merged', relative('.', merged.path)],
  ]);
}

async function demo(folder: string): Promise<boolean> {
  const bot = new Bot({ say: (rate) => readSpeech(speechFile('bot'), rate), messageMs: 200 });
  const echo = new Bot({ echo: true });
  const { url: talkUrl } = await bot.listen();
  const { url: echoUrl } = await echo.listen();
  const { daemon, ports } = await startDaemon(folder, configOf(folder, talkUrl, echoUrl));
  try {
    console.log(`reelay on port ${ports.mediaPort}, a bot, and a caller who talks for ${seconds} s:`);
    const [{ result, manifest }, probes] = await Promise.all([talk(ports), probe(ports, echoUrl)]);
    const recording = join(output, account, dateOf(manifest), manifest.callId, manifest.recordingId);
    const verdict = await verdictOn(new RecordingFolder([recording]));
    const merged = await mergeRecording(new RecordingFolder([recording]), join(output, 'demo.wav'), {
      force: true,
    });
    const frames = await framesRecorded(result, merged);
    console.log(table({ frames, verdict, merged }, probes));
    for (const { code, where, detail } of verdict.findings) console.log(`${where}: ${code} ${detail}`);
    const exit = await stopDaemon(daemon);
    const whole = (verdict.completeness ?? [0]).every((share) => share === 1) && verdict.gaps === 0;
    return (
      exit === 0 && verdict.whole && whole && frames.found === frames.sent && result.violations.length === 0
    );
  } finally {
    await stopDaemon(daemon);
    await Promise.all([bot.close(), echo.close()]);
  }
}

function dateOf(manifest: Manifest): string {
  return manifest.startTime.slice(0, 10).replaceAll('-', '');
}

const folder = await mkdtemp(join(tmpdir(), 'reelay-demo-'));
try {
  process.exitCode = (await demo(folder)) ? 0 : 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
