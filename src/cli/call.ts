import { Command, InvalidArgumentError, Option } from 'commander';
import type { Caller } from '../simulators/Caller.js';
import { CallerAudio } from '../simulators/CallerAudio.js';
import type { CallerOptions, CallScript } from '../simulators/CallerOptions.js';
import { writeHeardWav, type CallResult } from '../simulators/CallResult.js';
import { callReport, hasFailed, reportText } from '../simulators/CallReport.js';
import { JambonzCaller } from '../simulators/JambonzCaller.js';
import { speechFile } from '../simulators/speechFile.js';
import { TwilioCaller } from '../simulators/TwilioCaller.js';

interface CallFlags {
  readonly provider?: 'twilio' | 'jambonz';
  readonly audio?: string;
  readonly calls: number;
  readonly seconds?: number;
  readonly account?: string;
  readonly authToken?: string;
  readonly username?: string;
  readonly password?: string;
  readonly track?: 'inbound_track' | 'outbound_track' | 'both_tracks';
  readonly param: Readonly<Record<string, string>>;
  readonly mixType?: 'mono' | 'mixed' | 'stereo';
  readonly sampleRate: number;
  readonly returns: 'streaming' | 'playAudio' | 'none';
  readonly returnSampleRate?: number;
  readonly legSampleRate: number;
  readonly stall: readonly Pair[];
  readonly drop: readonly Pair[];
  readonly jump: readonly Pair[];
  readonly dtmf: readonly { readonly atMs: number; readonly digit: string }[];
  readonly restart: readonly Pair[];
  readonly vanish?: number;
  readonly output?: string;
  readonly json: boolean;
}

type Pair = readonly [number, number];

/** Calls of one command begin so far apart, ms, so that their frames don't all fall on one moment. */
const staggerMs = 7;

/** `reelay call`: plays one or many callers in real time as their provider would. */
export function callCommand(): Command {
  const command = new Command('call')
    .description('play a caller in real time as the provider would, and say what it heard')
    .argument(
      '<url>',
      'WebSocket URL to dial, for example ws://127.0.0.1:8080/twilio; …/record/aws_s3 is a recording by jambonz itself',
    )
    .addOption(new Option('--provider <name>', 'default: from the URL path').choices(['twilio', 'jambonz']))
    .option('--audio <file>', 'what the caller says (WAV or Ogg Opus); default: a speech sample')
    .option('--calls <n>', 'calls at once', count, 1)
    .option('--seconds <s>', 'length of each call, the audio is repeated; default: the audio once', positive)
    .option('--account <sid>', 'account id in the start message')
    .option('--auth-token <token>', 'twilio: signs the upgrade')
    .option('--param <name=value>', 'twilio: custom parameter; may be repeated', parameter, {})
    .addOption(
      new Option('--track <name>', 'twilio: unidirectional stream, which hears nothing').choices([
        'inbound_track',
        'outbound_track',
        'both_tracks',
      ]),
    );
  return withScript(withJambonz(command))
    .option('-o, --output <file>', 'save what was said (left) and heard (right) as WAV')
    .option('--json', 'print the summary as JSON', false)
    .action(call);
}

function withJambonz(command: Command): Command {
  return command
    .option('--username <name>', 'jambonz: Basic authorization')
    .option('--password <password>', 'jambonz: Basic authorization')
    .addOption(
      new Option('--mix-type <type>', 'jambonz; default: mono, of a recording stereo').choices([
        'mono',
        'mixed',
        'stereo',
      ]),
    )
    .option('--sample-rate <hz>', 'jambonz: rate of the stream', count, 8000)
    .addOption(
      new Option('--returns <how>', 'jambonz: how audio comes back')
        .choices(['streaming', 'playAudio', 'none'])
        .default('streaming'),
    )
    .option('--return-sample-rate <hz>', 'jambonz: rate of streamed audio that comes back', count)
    .option(
      '--leg-sample-rate <hz>',
      'jambonz: codec rate of the call, which decides the pre-buffer',
      count,
      8000,
    );
}

function withScript(command: Command): Command {
  return command
    .option('--stall <at:for>', 'deliver nothing for so long, then all at once (ms:ms)', pairs, [])
    .option('--drop <from:to>', 'lose the frames in between (ms:ms)', pairs, [])
    .option('--jump <at:by>', 'twilio: shift timestamps from then on (ms:ms)', pairs, [])
    .option('--dtmf <at:digits>', 'press keys, 200 ms apart (ms:digits)', digits, [])
    .option('--restart <at:after>', 'end the stream and open another of the same call (ms:ms)', pairs, [])
    .option('--vanish <at>', 'destroy the connection without closing it (ms)', positive);
}

async function call(url: string, flags: CallFlags, command: Command): Promise<void> {
  const write = (text: string): void => command.configureOutput().writeOut?.(text);
  const callers = await callersOf(url, flags);
  const hangUp = (): void => callers.forEach((caller) => caller.hangUp());
  process.once('SIGINT', hangUp).once('SIGTERM', hangUp);
  const results = await Promise.all(callers.map((caller, index) => callAfter(caller, index * staggerMs)));
  process.off('SIGINT', hangUp).off('SIGTERM', hangUp);
  const report = callReport(results);
  write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : reportText(report));
  if (flags.output !== undefined) {
    for (const name of await save(results, flags.output)) if (!flags.json) write(`saved ${name}\n`);
  }
  if (hasFailed(report)) process.exitCode = 1;
}

async function callAfter(caller: Caller, delayMs: number): Promise<CallResult> {
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  return caller.call();
}

/** One file, or one per call with its number before the ending. */
async function save(results: readonly CallResult[], file: string): Promise<string[]> {
  const saved: string[] = [];
  for (const [index, result] of results.entries()) {
    if (result.streams.length === 0) continue;
    const name = results.length === 1 ? file : file.replace(/(\.wav)?$/i, `-${index + 1}.wav`);
    await writeHeardWav(result, name);
    saved.push(name);
  }
  return saved;
}

/** The path that jambonz puts behind the base of its recordings. */
const recordPath = /\/record\/([^/?]+)\/?$/;

async function callersOf(url: string, flags: CallFlags): Promise<Caller[]> {
  const isJambonz = recordPath.test(url) || new URL(url).pathname.includes('jambonz');
  const provider = flags.provider ?? (isJambonz ? 'jambonz' : 'twilio');
  const sampleRate = provider === 'twilio' ? 8000 : flags.sampleRate;
  const loop = flags.seconds !== undefined;
  const audio = await CallerAudio.read(flags.audio ?? speechFile('caller'), { sampleRate, loop });
  const options: CallerOptions = {
    url,
    audio,
    seconds: flags.seconds ?? audio.durationMs / 1000,
    ...(flags.account === undefined ? {} : { accountSid: flags.account }),
    ...scriptOf(flags),
  };
  const make = provider === 'twilio' ? twilioCaller : jambonzCaller;
  return Array.from({ length: flags.calls }, () => make(options, flags));
}

function twilioCaller(options: CallerOptions, flags: CallFlags): Caller {
  const { authToken, track } = flags;
  return new TwilioCaller({
    ...options,
    customParameters: flags.param,
    ...(authToken === undefined ? {} : { authToken }),
    ...(track === undefined ? {} : { track }),
  });
}

function jambonzCaller(options: CallerOptions, flags: CallFlags): Caller {
  const { username, password, mixType, sampleRate, returns, returnSampleRate, legSampleRate } = flags;
  const recordVendor = recordPath.exec(options.url)?.[1];
  return new JambonzCaller({
    ...options,
    ...(recordVendor === undefined ? {} : { recordVendor, url: options.url.replace(recordPath, '') }),
    ...(mixType === undefined ? {} : { mixType }),
    sampleRate,
    returns,
    legSampleRate,
    ...(returnSampleRate === undefined ? {} : { returnSampleRate }),
    ...(username === undefined || password === undefined ? {} : { username, password }),
  });
}

function scriptOf(flags: CallFlags): CallScript {
  return {
    stalls: flags.stall.map(([atMs, forMs]) => ({ atMs, forMs })),
    drops: flags.drop.map(([fromMs, toMs]) => ({ fromMs, toMs })),
    jumps: flags.jump.map(([atMs, byMs]) => ({ atMs, byMs })),
    restarts: flags.restart.map(([atMs, afterMs]) => ({ atMs, afterMs })),
    dtmf: flags.dtmf,
    ...(flags.vanish === undefined ? {} : { vanishAtMs: flags.vanish }),
  };
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('Give a whole number from 1 up.');
  return value;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < Infinity)) throw new InvalidArgumentError('Give a number above 0.');
  return value;
}

function pairs(text: string, before: readonly Pair[]): readonly Pair[] {
  const match = /^(\d+):(-?\d+)$/.exec(text);
  if (match === null) throw new InvalidArgumentError('Give two numbers of milliseconds, such as 2000:1200.');
  return [...before, [Number(match[1]), Number(match[2])]];
}

function digits(text: string, before: CallFlags['dtmf']): CallFlags['dtmf'] {
  const match = /^(\d+):([0-9*#A-D]+)$/.exec(text);
  if (match === null) throw new InvalidArgumentError('Give a time in ms and keys, such as 1500:12#.');
  const keys = (match[2] ?? '').split('');
  return [...before, ...keys.map((digit, index) => ({ atMs: Number(match[1]) + index * 200, digit }))];
}

function parameter(text: string, before: Readonly<Record<string, string>>): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Give name=value.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
