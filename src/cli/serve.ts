import { Command, InvalidArgumentError } from 'commander';
import type { ServeFlags } from '../control/ControlMessage.js';
import { shortenSlice } from '../config/threadPriority.js';
import { Daemon } from '../supervisor/Daemon.js';

/** Exit code when recordings are left that wait for their store; the next start goes on with them. */
export const exitUnstored = 75;

/**
 * `reelay serve`: runs the daemon until SIGTERM or SIGINT, or until another daemon takes over; a second signal hurries. SIGHUP reads
 * the configuration again.
 */
export function serveCommand(): Command {
  return new Command('serve')
    .description('run the daemon')
    .option('--config <file>', 'YAML or JSON configuration')
    .option('--upstream <url>', 'the bot to relay to, when no configuration names one')
    .option(
      '--store <place>',
      'where recordings go: a folder or s3://bucket/prefix; for every account listed',
    )
    .option('--media-port <port>', 'port for providers', port)
    .option('--control-port <port>', 'port for the HTTP API', port)
    .option('--take-over', 'have a daemon that runs on the same spool end its calls and hand over its ports')
    .action(async (flags: ServeFlags) => {
      await serve(flags);
    });
}

async function serve(flags: ServeFlags): Promise<void> {
  // Main moves the media. Its workers give the slice back when they go behind it.
  shortenSlice();
  const daemon = new Daemon(flags);
  // A fault that nobody caught must not take the other calls down.
  process.on('uncaughtException', (error) => daemon.uncaught(error));
  // From the beginning: without a handler a signal ends the process, and calls come in before the last thread is up.
  process.on('SIGHUP', () => daemon.reload());
  const ending = new Ending(daemon);
  process.on('SIGTERM', () => ending.ask());
  process.on('SIGINT', () => ending.ask());
  daemon.stopped.then(
    (unstored) => exit(daemon, unstored === 0 ? 0 : exitUnstored),
    (error: unknown) => {
      daemon.uncaught(error);
      process.exit(1);
    },
  );
  try {
    await daemon.start();
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
  ending.started();
}

/** What signals that ask for the end come to: the first one ends the daemon as soon as it has started, each further one hurries. */
class Ending {
  readonly #daemon: Daemon;
  #asked = 0;
  #isStarted = false;

  constructor(daemon: Daemon) {
    this.#daemon = daemon;
  }

  ask(): void {
    this.#asked++;
    if (this.#isStarted) this.#end();
    // Whoever asks twice doesn't want to wait for a start that may take long, or for ever.
    else if (this.#asked > 1) process.exit(1);
  }

  started(): void {
    this.#isStarted = true;
    if (this.#asked > 0) this.#end();
  }

  #end(): void {
    if (this.#asked === 1) this.#daemon.stop();
    else this.#daemon.hurry();
  }
}

/** Ends the process, also when a thread of it hangs in the system: then by a signal, because Node would wait for that thread. */
function exit(daemon: Daemon, code: number): void {
  if (!daemon.canExit) process.kill(process.pid, 'SIGKILL');
  process.exit(code);
}

function port(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0 || number > 65_535) {
    throw new InvalidArgumentError('A port is a whole number from 0 to 65535.');
  }
  return number;
}
