import { Command, InvalidArgumentError, Option } from 'commander';
import { readSpeech } from '../audio/Speech.js';
import { Bot, type BotOptions } from '../simulators/Bot.js';
import type { BotCall } from '../simulators/BotCall.js';
import { speechFile } from '../simulators/speechFile.js';

interface BotFlags {
  readonly port: number;
  readonly host: string;
  readonly say?: string;
  readonly echo: boolean;
  readonly provider: 'twilio' | 'jambonz' | 'auto';
  readonly bargeIn: boolean;
  readonly messageMs: number;
  readonly pauseMs: number;
  readonly returns: 'streaming' | 'playAudio' | 'none';
  readonly returnSampleRate?: number;
}

/** `reelay bot`: a small voice bot to point `--upstream` at. Runs until it is interrupted. */
export function botCommand(): Command {
  return new Command('bot')
    .description('run a small voice bot to point --upstream at')
    .option('--port <port>', 'port to listen on; 0: any free one', wholeNumber, 9000)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .addOption(new Option('--say <file>', 'what it says (WAV or Ogg Opus); default: a speech sample'))
    .addOption(new Option('--echo', 'send every frame back instead').default(false).conflicts('say'))
    .addOption(
      new Option('--provider <name>', 'dialect').choices(['twilio', 'jambonz', 'auto']).default('auto'),
    )
    .option('--barge-in', 'stop when the caller speaks over it', false)
    .option('--message-ms <ms>', 'audio per message, all sent at once', wholeNumber, 20)
    .option('--pause-ms <ms>', 'silence between utterances', wholeNumber, 1500)
    .addOption(
      new Option('--returns <how>', 'jambonz: how audio goes back')
        .choices(['streaming', 'playAudio', 'none'])
        .default('streaming'),
    )
    .option('--return-sample-rate <hz>', 'jambonz: rate of audio sent back', wholeNumber)
    .action(serve);
}

async function serve(flags: BotFlags): Promise<void> {
  const options = optionsOf(flags);
  // A file that can't be read ends the command now, not the first call.
  await options.say?.(8000);
  const bot = new Bot(options);
  bot.on('call', announce);
  const { url } = await bot.listen(flags.port, flags.host);
  process.stdout.write(`bot listens on ${url} and ${flags.echo ? 'echoes' : 'speaks'}\n`);
  await new Promise((resolve) => process.once('SIGINT', resolve).once('SIGTERM', resolve));
  await bot.close();
}

function optionsOf(flags: BotFlags): BotOptions {
  const { echo, provider, bargeIn, messageMs, pauseMs, returns, returnSampleRate } = flags;
  const file = flags.say ?? speechFile('bot');
  return {
    provider,
    echo,
    bargeIn,
    messageMs: Math.max(1, messageMs),
    pauseMs,
    returns,
    ...(returnSampleRate === undefined ? {} : { returnSampleRate }),
    ...(echo ? {} : { say: (sampleRate: number) => readSpeech(file, sampleRate) }),
  };
}

function announce(call: BotCall): void {
  call.once('start', () => process.stdout.write(`call ${call.callSid} began (${call.provider})\n`));
  call.once('closed', ({ code }) => {
    process.stdout.write(`call ${call.callSid} ended with ${code} after ${call.frames.length} frames\n`);
  });
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('Give a whole number.');
  return value;
}
