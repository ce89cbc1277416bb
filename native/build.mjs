/*
 * The package's install script: builds the addon of audio kernels when this machine can, and otherwise says in one line why
 * the TypeScript kernels will run. It never downloads anything and always exits 0, because nothing depends on the addon
 * but speed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const addon = join(folder, 'build', 'Release', 'reelay.node');
const sources = [folder, join(folder, 'live')].flatMap((place) =>
  readdirSync(place)
    .filter((name) => /\.(cpp|h|gyp)$/.test(name))
    .map((name) => join(place, name)),
);
const require = createRequire(import.meta.url);
const tenMinutes = 600_000;

console.log(`reelay: ${build()}`);

/** Returns the line to print. */
function build() {
  if (isCurrent()) return 'native audio kernels are up to date.';
  // A file that is older than its sources, or made for another machine, must not be picked up at run time.
  rmSync(addon, { force: true });
  const headers = findHeaders();
  const missing = whatIsMissing(headers);
  if (missing !== undefined) return fallback(missing);
  const started = Date.now();
  const failure = compile(headers);
  if (failure !== undefined) {
    rmSync(addon, { force: true });
    return fallback(failure);
  }
  return `native audio kernels built in ${((Date.now() - started) / 1000).toFixed(1)} s.`;
}

function fallback(reason) {
  return (
    `the TypeScript audio kernels will be used (same results, slower), because ${reason}. ` +
    'For the native ones install a C++17 compiler, make, Python 3 and the headers of this Node, then run: npm rebuild reelay, ' +
    'or, in a checkout: node native/build.mjs'
  );
}

function isCurrent() {
  if (!existsSync(addon)) return false;
  const built = statSync(addon).mtimeMs;
  return sources.every((source) => statSync(source).mtimeMs <= built) && failureToLoad() === undefined;
}

/** Loads the addon in a process of its own, so that one made for another processor can't take this script down. */
function failureToLoad() {
  const probe = `const addon = require(${JSON.stringify(addon)}); if (addon.peak(new Int16Array([-3, 2])) !== 3) process.exit(1)`;
  const result = spawnSync(process.execPath, ['-e', probe], { encoding: 'utf8' });
  return result.status === 0 ? undefined : `the addon does not load (${lastError(result.stderr)})`;
}

/** The prefix of the Node installation: where `include/node` lies beside the running binary, or where the user says. */
function findHeaders() {
  const beside = dirname(dirname(realpathSync(process.execPath)));
  return [beside, process.env['npm_config_nodedir']].find(
    (prefix) => prefix !== undefined && existsSync(join(prefix, 'include', 'node', 'node_api.h')),
  );
}

function whatIsMissing(headers) {
  if (headers === undefined) {
    return `there are no Node headers (include/node/node_api.h) beside ${process.execPath}`;
  }
  if (findNodeGyp() === undefined) return 'node-gyp is not installed';
  if (process.platform === 'win32') return undefined;
  const tools = [
    ['Python 3', [process.env['PYTHON'] ?? process.env['npm_config_python'] ?? 'python3', 'python']],
    ['make', [process.env['MAKE'] ?? 'make']],
    ['a C++ compiler', [process.env['CXX'] ?? (process.platform === 'darwin' ? 'c++' : 'g++')]],
  ];
  const absent = tools.filter(([, commands]) => !commands.some(runs)).map(([name]) => name);
  return absent.length === 0 ? undefined : `this machine lacks ${absent.join(', ')}`;
}

function runs(command) {
  // CXX and MAKE may carry arguments or a wrapper, such as "ccache g++".
  const [program, ...rest] = command.split(/\s+/);
  return spawnSync(program, [...rest, '--version'], { stdio: 'ignore' }).status === 0;
}

function findNodeGyp() {
  try {
    return require.resolve('node-gyp/bin/node-gyp.js');
  } catch {
    return process.env['npm_config_node_gyp'];
  }
}

/** Runs node-gyp; returns why it failed, or undefined. */
function compile(headers) {
  const python = process.env['npm_config_python'];
  const args = [findNodeGyp(), 'rebuild', '--release', `--nodedir=${headers}`];
  if (python !== undefined) args.push(`--python=${python}`);
  const result = spawnSync(process.execPath, args, {
    cwd: folder,
    env: cleanEnvironment(),
    encoding: 'utf8',
    timeout: tenMinutes,
  });
  if (result.error !== undefined) return `node-gyp did not run (${result.error.message})`;
  if (result.status !== 0) return `the compilation failed (${lastError(result.stderr)})`;
  return failureToLoad();
}

/**
 * node-gyp lets npm_config_* variables win over its arguments; one of them could make it fetch headers. The folder of the
 * running Node goes first in PATH because binding.gyp asks `node` for a path.
 */
function cleanEnvironment() {
  const kept = Object.entries(process.env).filter(([name]) => !/^npm_(config|package_config)_/i.test(name));
  const env = Object.fromEntries(kept);
  env['PATH'] = [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter);
  return env;
}

/** The most telling line of a tool's output: the compiler's first error, else node-gyp's, else the last line. */
function lastError(output) {
  const lines = (output ?? '').split('\n').map((line) => line.trim());
  const found =
    lines.find((line) => /\b(fatal )?error:/i.test(line)) ??
    lines.find((line) => /gyp ERR! stack Error/.test(line)) ??
    lines.findLast((line) => line !== '');
  return (found ?? 'no output').replace('gyp ERR! stack ', '').slice(0, 300);
}
