/*
 * Makes the page: compiles its modules, which a browser loads as they come, and lays what isn't code beside them.
 *
 *     node src/web/build.mjs [FOLDER]     default: dist; the page comes into its folder web
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = dirname(fileURLToPath(import.meta.url));
const page = join(resolve(process.argv[2] ?? join(source, '..', '..', 'dist')), 'web');

// Modules of nothing but types come out of the compiler as well, and the server has its own.
const compiled = mkdtempSync(join(tmpdir(), 'reelay-page-'));
try {
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-p', source, '--outDir', compiled], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(status ?? 1);
  // A module that is gone would be served for ever.
  rmSync(page, { recursive: true, force: true });
  cpSync(join(compiled, 'web'), page, { recursive: true });
} finally {
  rmSync(compiled, { recursive: true, force: true });
}
for (const name of readdirSync(source).filter((each) => /\.(html|css|svg)$/.test(each)))
  cpSync(join(source, name), join(page, name));
