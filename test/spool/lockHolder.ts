import { DaemonFolder } from '../../src/spool/DaemonFolder.js';

/** A process that claims a spool, says how that ended, and holds the lock until it is killed or its input ends. */
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
try {
  const { path } = await DaemonFolder.claim(process.argv[2] ?? '');
  process.stdout.write(JSON.stringify({ path }) + '\n');
} catch (error) {
  const { code, message } = error as { code?: string; message: string };
  process.stdout.write(JSON.stringify({ code, message }) + '\n');
}
