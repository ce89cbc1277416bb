import { Command } from 'commander';
import { version } from '../config/version.js';
import { botCommand } from './bot.js';
import { callCommand } from './call.js';
import { doctorCommand } from './doctor.js';
import { keyCommand } from './key.js';
import { mergeCommand } from './merge.js';
import { reindexCommand } from './reindex.js';
import { serveCommand } from './serve.js';
import { verifyCommand } from './verify.js';

/** The command line: `reelay <command>`. */
export function program(): Command {
  return new Command('reelay')
    .description('Relays voice-bot media streams and keeps a sample-exact recording of every call.')
    .version(version)
    .addCommand(serveCommand())
    .addCommand(callCommand())
    .addCommand(botCommand())
    .addCommand(verifyCommand())
    .addCommand(mergeCommand())
    .addCommand(reindexCommand())
    .addCommand(keyCommand())
    .addCommand(doctorCommand());
}
