import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Compiled files lie one folder deeper than their sources.
const sources = fileURLToPath(new URL('../../../bench/load/', import.meta.url));
const built = fileURLToPath(new URL('./reelay-load', import.meta.url));
const flags = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-D_GNU_SOURCE'];

/**
 * The program that places calls and answers them, see `main.c`. Compiled when it is older than its sources.
 *
 * @param path - where it goes; default: beside the compiled benches
 * @throws Error when there is no C compiler, or this isn't Linux
 */
export function loadProgram(path = built): string {
  if (process.platform !== 'linux') throw new Error('The load of the benches needs epoll, which Linux has.');
  const names = readdirSync(sources).filter((name) => /\.[ch]$/.test(name));
  const changedMs = Math.max(...names.map((name) => statSync(join(sources, name)).mtimeMs));
  const builtMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (builtMs > changedMs) return path;
  const compiler = process.env['CC'] ?? 'cc';
  const units = names.filter((name) => name.endsWith('.c')).map((name) => join(sources, name));
  mkdirSync(dirname(path), { recursive: true });
  // Under another name first, so that nobody who builds it as well runs half of it.
  const fresh = `${path}.${process.pid}`;
  try {
    execFileSync(compiler, [...flags, '-o', fresh, ...units], { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    throw new Error(`${compiler} didn't compile ${sources}; install a C compiler, or name it in CC.`, {
      cause: error,
    });
  }
  renameSync(fresh, path);
  return path;
}
