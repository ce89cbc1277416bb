import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { implementation, kernels } from '../../src/audio/kernels.js';

/*
 * The install script, run for real on a copy of native/ by a Node that lies in a prefix of the test's own, so that what is
 * found beside it and in PATH is decided here and not by the machine.
 */

const executable = 0o755;

interface Machine {
  /** Programs in PATH that answer --version and do nothing else. */
  readonly tools?: readonly string[];
  readonly headers?: boolean;
}

function machine(dir: string, { tools = [], headers = false }: Machine) {
  const native = join(dir, 'native');
  mkdirSync(native);
  for (const { name } of readdirSync('native', { withFileTypes: true }).filter((entry) => entry.isFile()))
    cpSync(join('native', name), join(native, name));
  cpSync(join('native', 'live'), join(native, 'live'), { recursive: true });
  const bin = join(dir, 'prefix', 'bin');
  mkdirSync(bin, { recursive: true });
  const node = join(bin, 'node');
  try {
    linkSync(process.execPath, node);
  } catch {
    copyFileSync(process.execPath, node);
  }
  if (headers) {
    mkdirSync(join(dir, 'prefix', 'include', 'node'), { recursive: true });
    writeFileSync(join(dir, 'prefix', 'include', 'node', 'node_api.h'), '');
  }
  const path = join(dir, 'path');
  mkdirSync(path);
  for (const tool of tools) {
    writeFileSync(join(path, tool), '#!/bin/sh\nexit 0\n');
    chmodSync(join(path, tool), executable);
  }
  const addon = join(native, 'build', 'Release', 'reelay.node');
  const install = () => run(node, native, { PATH: path });
  return { native, addon, install };
}

function run(node: string, native: string, env: NodeJS.ProcessEnv) {
  const { status, stdout, stderr } = spawnSync(node, [join(native, 'build.mjs')], { env, encoding: 'utf8' });
  return { status, stdout, stderr };
}

/** What every outcome has in common: success, one line, nothing else. */
function sayOneLine(t: Test, outcome: ReturnType<typeof run>): void {
  t.equal(outcome.status, 0);
  t.equal(outcome.stderr, '');
  t.match(outcome.stdout, /^reelay: [^\n]+\n$/);
}

await t.test('without headers it says so, what will run instead and what to install', (t) => {
  const { addon, install } = machine(t.testdir(), { tools: ['python3', 'make', 'g++', 'c++'] });
  const outcome = install();
  sayOneLine(t, outcome);
  t.match(outcome.stdout, /TypeScript audio kernels will be used.*no Node headers.*prefix.bin.node.*install/);
  t.notOk(existsSync(addon));
  t.end();
});

await t.test('without Python, make or compiler it names what is missing', (t) => {
  const { install } = machine(t.testdir(), { headers: true, tools: ['make'] });
  const outcome = install();
  sayOneLine(t, outcome);
  t.match(outcome.stdout, /this machine lacks Python 3, a C\+\+ compiler\./);
  t.end();
});

await t.test('a compilation that fails gives its reason', (t) => {
  const tools = ['python3', 'python', 'make', 'g++', 'c++'];
  const outcome = machine(t.testdir(), { headers: true, tools }).install();
  sayOneLine(t, outcome);
  t.match(outcome.stdout, /TypeScript audio kernels will be used.*the compilation failed \(.*[Pp]ython/);
  t.end();
});

await t.test('an addon that does not load here is taken away', (t) => {
  const { addon, install } = machine(t.testdir(), {});
  mkdirSync(join(addon, '..'), { recursive: true });
  writeFileSync(addon, 'made for another machine');
  sayOneLine(t, install());
  t.notOk(existsSync(addon));
  t.end();
});

const folder = t.testdir();
const { native, addon } = machine(folder, {});
const outcome = run(process.execPath, native, process.env);
const built = outcome.stdout.includes('built in');

await t.test(built ? 'here the addon is built' : 'here the addon CANNOT BE BUILT, and that is said', (t) => {
  sayOneLine(t, outcome);
  t.comment(outcome.stdout);
  t.equal(existsSync(addon), built);
  t.equal(outcome.stdout.includes('the TypeScript audio kernels will be used'), !built);
  t.end();
});

if (built) {
  await t.test('it is not built again until a source changes', (t) => {
    const again = run(process.execPath, native, process.env);
    sayOneLine(t, again);
    t.match(again.stdout, /up to date/);
    writeFileSync(join(native, 'kernels.cpp'), '#error "changed"\n');
    const changed = run(process.execPath, native, process.env);
    sayOneLine(t, changed);
    t.match(changed.stdout, /the compilation failed \(.*changed/);
    t.notOk(existsSync(addon), 'the addon of the old source is gone');
    t.end();
  });
}

await t.test('the kernels load in several threads, which may end in any order', async (t) => {
  const kernelsUrl = pathToFileURL(join(import.meta.dirname, '..', '..', 'src', 'audio', 'kernels.js'));
  const source = `
    import { parentPort } from 'node:worker_threads';
    const { kernels, implementation } = await import(${JSON.stringify(kernelsUrl.href)});
    parentPort.postMessage([implementation, kernels.peak(new Int16Array([-5, 4]))]);`;
  for (let round = 0; round < 2; round++) {
    const workers = [1, 2].map(
      () => new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`)),
    );
    const answers = await Promise.all(workers.map((worker) => answerOf(worker)));
    t.same(answers, [
      [implementation, 5],
      [implementation, 5],
    ]);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  t.equal(kernels.peak(Int16Array.of(1, -9)), 9, 'and this thread still has them');
});

function answerOf(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}
