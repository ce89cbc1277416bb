/*
 * Runs the Dockerfile's own steps where no image can be pulled: each stage in a Debian root made by debootstrap, then the
 * entrypoint as the image's user on loopback, until the image's own health check is content. Needs root (chroot, mount).
 */
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, dirname, join, posix, relative } from 'node:path';
import { clearTimeout, setTimeout } from 'node:timers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { DebianRoot } from './DebianRoot.mjs';
import { assignments, execForm, isInContext, parseDockerfile } from './parseDockerfile.mjs';

const context = dirname(dirname(fileURLToPath(import.meta.url)));
const dockerignore = readFileSync(join(context, '.dockerignore'), 'utf8');
const baseImage = 'node:20-bookworm-slim';
const healthyWithinMs = 60_000;
const stoppedWithinMs = 20_000;

/** One stage while it is built, and what it says about running it. */
class Stage {
  root = new DebianRoot();
  user = 'root';
  workdir = '/';
  healthcheck = [];
  entrypoint = [];

  apply(step, stages) {
    console.log(`#${step.line} ${step.instruction} ${step.text}`);
    this[step.instruction](step, stages);
  }

  RUN({ text }) {
    this.root.runAs(this.user, this.workdir, ['/bin/sh', '-c', text]);
  }

  /** Copies what the context or an earlier stage has; as in Docker a folder's contents are copied, not the folder. */
  COPY({ flags, text }, stages) {
    const from = flags.from === undefined ? undefined : stages.get(flags.from).root.path;
    const words = text.split(/\s+/);
    const target = posix.resolve(this.workdir, words.at(-1));
    for (const source of words.slice(0, -1)) {
      const path = join(from ?? context, source);
      const isInto = words.at(-1).endsWith('/') && !statSync(path).isDirectory();
      const destination = join(this.root.path, isInto ? posix.join(target, basename(source)) : target);
      mkdirSync(dirname(destination), { recursive: true });
      const filter = (each) => from !== undefined || isInContext(relative(context, each), dockerignore);
      cpSync(path, destination, { recursive: true, verbatimSymlinks: true, filter });
      if (!existsSync(destination)) throw new Error(`COPY ${source}: kept out by .dockerignore`);
    }
  }

  WORKDIR({ text }) {
    this.workdir = posix.resolve(this.workdir, text);
    mkdirSync(join(this.root.path, this.workdir), { recursive: true });
  }

  ENV({ text }) {
    this.root.setEnv(assignments(text));
  }

  USER({ text }) {
    this.user = text;
  }

  VOLUME() {}

  EXPOSE() {}

  HEALTHCHECK({ text }) {
    this.healthcheck = execForm(text.replace(/^CMD\s+/, ''));
  }

  ENTRYPOINT({ text }) {
    this.entrypoint = execForm(text);
  }
}

/** Starts the image, waits until its health check succeeds, and stops it as Docker would. */
async function tryOut(stage) {
  if (stage.user === 'root') throw new Error('The image runs as root');
  const ports = { REELAY_MEDIA_PORT: await freePort(), REELAY_CONTROL_PORT: await freePort() };
  const loopback = { ...ports, REELAY_MEDIA_HOST: '127.0.0.1', REELAY_CONTROL_HOST: '127.0.0.1' };
  const daemon = stage.root.start(stage.user, stage.workdir, stage.entrypoint, loopback);
  const exited = once(daemon, 'exit');
  try {
    await healthy(stage, daemon, loopback);
    requireUser(stage, daemon.pid);
  } catch (error) {
    daemon.kill('SIGKILL');
    await exited;
    throw error;
  }
  daemon.kill('SIGTERM');
  const late = setTimeout(() => daemon.kill('SIGKILL'), stoppedWithinMs);
  const [code, signal] = await exited;
  clearTimeout(late);
  if (code !== 0) throw new Error(`The entrypoint ended with ${code ?? signal} after SIGTERM`);
  console.log('The health check succeeded; the entrypoint ended with 0 after SIGTERM.');
}

async function healthy(stage, daemon, variables) {
  const until = Date.now() + healthyWithinMs;
  while (Date.now() < until) {
    if (daemon.exitCode !== null) throw new Error(`The entrypoint ended with ${daemon.exitCode}`);
    const check = stage.root.start(stage.user, stage.workdir, stage.healthcheck, variables);
    const [code] = await once(check, 'exit');
    if (code === 0) return;
    await sleep(500);
  }
  throw new Error(`The health check did not succeed within ${healthyWithinMs} ms`);
}

function requireUser(stage, pid) {
  const [, uid] = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  if (Number(uid) !== stage.root.idOf(stage.user)) throw new Error(`The entrypoint runs as uid ${uid}`);
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return String(port);
}

const stages = new Map();
// The roots go in every case, also when this is interrupted: each holds a mount.
process.once('exit', () => {
  for (const { root } of stages.values()) root.remove();
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

let last;
for (const [at, { base, name, steps }] of parseDockerfile(
  readFileSync(join(context, 'Dockerfile'), 'utf8'),
).entries()) {
  if (base !== baseImage) throw new Error(`Only ${baseImage} can be imitated here, not ${base}`);
  console.log(`FROM ${base}${name === undefined ? '' : ` AS ${name}`}`);
  last = new Stage();
  stages.set(name ?? String(at), last);
  for (const step of steps) last.apply(step, stages);
}
await tryOut(last);
