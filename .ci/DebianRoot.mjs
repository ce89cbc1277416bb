import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const suite = 'bookworm';
const defaultMirror = 'http://deb.debian.org/debian';
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'reelay-ci');

/**
 * A folder that looks like the image `node:20-bookworm-slim` to what runs in it: Debian by debootstrap, this machine's Node
 * under /usr/local, a user `node`. Programs run in it by chroot; there is no isolation beyond that, and /proc is the only mount.
 */
export class DebianRoot {
  #env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
  #isProcMounted = false;

  constructor() {
    const base = debianBase();
    this.path = mkdtempSync(join(tmpdir(), 'reelay-root-'));
    chmodSync(this.path, 0o755);
    run('cp', ['-a', `${base}/.`, this.path]);
    installNode(this.path);
    this.#network = hostNetwork(this.path);
    run('mount', ['-t', 'proc', 'proc', join(this.path, 'proc')]);
    this.#isProcMounted = true;
    this.runAs('root', '/', [
      'useradd',
      '--uid',
      '1000',
      '--user-group',
      '--create-home',
      '--shell',
      '/bin/bash',
      'node',
    ]);
  }

  /** What the host needs to reach registries (proxies, certificates): for building, not part of the image. */
  #network;

  setEnv(variables) {
    Object.assign(this.#env, variables);
  }

  /** Runs a program to its end with the image's environment and the host's network settings; throws when it fails. */
  runAs(user, cwd, command) {
    const env = { ...this.#env, ...this.#network, HOME: this.#passwd(user).home };
    const { status } = spawnSync('chroot', this.#chrootArgs(user, cwd, command), {
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}`);
  }

  /** Starts a program with the image's environment alone; its pid is that of the child process. */
  start(user, cwd, command, variables = {}) {
    const env = { ...this.#env, HOME: this.#passwd(user).home, ...variables };
    return spawn('chroot', this.#chrootArgs(user, cwd, command), {
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  }

  idOf(user) {
    return this.#passwd(user).uid;
  }

  remove() {
    if (this.#isProcMounted) run('umount', [join(this.path, 'proc')]);
    run('rm', ['-rf', '--one-file-system', this.path]);
  }

  /** `chroot` replaces itself by the shell and the shell by the program, so pids and signals are the program's own. */
  #chrootArgs(user, cwd, command) {
    const { uid, gid } = this.#passwd(user);
    const inFolder = ['/bin/sh', '-c', 'cd "$1" && shift && exec "$@"', 'sh', cwd, ...command];
    return [`--userspec=${uid}:${gid}`, '--groups=', this.path, ...inFolder];
  }

  #passwd(user) {
    const lines = readFileSync(join(this.path, 'etc/passwd'), 'utf8').split('\n');
    const [, , uid, gid, , home] = lines.find((line) => line.startsWith(`${user}:`))?.split(':') ?? [];
    if (uid === undefined) throw new Error(`The image has no user ${user}`);
    return { uid: Number(uid), gid: Number(gid), home };
  }
}

/** The bare Debian, made once and kept. */
function debianBase() {
  const base = join(cache, `${suite}-${process.arch}`);
  if (existsSync(base)) return base;
  mkdirSync(cache, { recursive: true });
  const unfinished = mkdtempSync(`${base}.`);
  run('debootstrap', ['--variant=minbase', suite, unfinished, mirror()]);
  // debootstrap may leave its own /proc behind, which must not be copied.
  spawnSync('umount', [join(unfinished, 'proc')], { stdio: 'ignore' });
  chmodSync(unfinished, 0o755);
  renameSync(unfinished, base);
  return base;
}

/** Where this machine gets Debian from, if it says so for the same suite. */
function mirror() {
  const folder = '/etc/apt/sources.list.d';
  const files = ['/etc/apt/sources.list'];
  if (existsSync(folder)) files.push(...readdirSync(folder).map((name) => join(folder, name)));
  const texts = files.filter((path) => existsSync(path)).map((path) => readFileSync(path, 'utf8'));
  for (const text of texts) {
    const oneLine = new RegExp(`^deb (?:\\[[^\\]]*\\] )?(\\S+/debian/?) ${suite} `, 'm').exec(text);
    if (oneLine !== null) return oneLine[1];
    const stanza = text
      .split(/\n\s*\n/)
      .find((each) => new RegExp(`^Suites:.*\\b${suite}(\\s|$)`, 'm').test(each));
    const uri = stanza && /^URIs:\s*(\S+)/m.exec(stanza);
    if (uri) return uri[1];
  }
  return defaultMirror;
}

/** Node, its headers and npm, as the official image has them below /usr/local. */
function installNode(root) {
  const binary = realpathSync(process.execPath);
  const prefix = dirname(dirname(binary));
  const usrLocal = join(root, 'usr/local');
  for (const folder of ['bin', 'include', 'lib/node_modules'])
    mkdirSync(join(usrLocal, folder), { recursive: true });
  copyFileSync(binary, join(usrLocal, 'bin/node'));
  cpSync(join(prefix, 'include/node'), join(usrLocal, 'include/node'), { recursive: true });
  cpSync(join(prefix, 'lib/node_modules/npm'), join(usrLocal, 'lib/node_modules/npm'), { recursive: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(usrLocal, 'bin/npm'));
  symlinkSync('../lib/node_modules/npm/bin/npx-cli.js', join(usrLocal, 'bin/npx'));
}

/** Copies this machine's ways to the outside into the root; returns the environment variables that belong to them. */
function hostNetwork(root) {
  for (const path of ['/etc/resolv.conf', '/etc/hosts']) {
    if (existsSync(path)) copyFileSync(path, join(root, path));
  }
  const apt = spawnSync('apt-config', ['dump'], { encoding: 'utf8' }).stdout ?? '';
  const acquire = apt.split('\n').filter((line) => /^Acquire::(https?|Check-)/i.test(line));
  writeFileSync(join(root, 'etc/apt/apt.conf.d/99host'), `${acquire.join('\n')}\n`);
  const proxies = /^((https?|no|all)_proxy|npm_config_(registry|proxy|https_proxy))$/i;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => proxies.test(name)));
  env.npm_config_registry ??= npmSetting('registry');
  const authorities = process.env.NODE_EXTRA_CA_CERTS ?? npmSetting('cafile');
  if (authorities !== undefined) {
    copyFileSync(authorities, join(root, 'etc/host-authorities.crt'));
    env.NODE_EXTRA_CA_CERTS = '/etc/host-authorities.crt';
  }
  return env;
}

function npmSetting(name) {
  const { stdout } = spawnSync('npm', ['config', 'get', name], { encoding: 'utf8' });
  const value = (stdout ?? '').trim();
  return ['', 'null', 'undefined'].includes(value) ? undefined : value;
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`);
}
