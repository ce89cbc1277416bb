/*
 * Makes the page: compiles its modules, which a browser loads as they come, and lays what isn't code beside them.
 *
 *     node src/web/build.mjs [FOLDER]     default: dist, which the rest is compiled into, too
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = dirname(fileURLToPath(import.meta.url));
const target = resolve(process.argv[2] ?? join(source, '..', '..', 'dist'));
const page = join(target, 'web');

// A module that is gone would be served for ever.
rmSync(page, { recursive: true, force: true });
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
const { status } = spawnSync(process.execPath, [tsc, '-p', source, '--outDir', target], { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);
for (const name of readdirSync(source).filter((each) => /\.(html|css|svg)$/.test(each)))
  copyFileSync(join(source, name), join(page, name));
