import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { errorCodes } from '../../src/config/ReelayError.js';

const catalogue = join('src', 'config', 'ReelayError.ts');

void t.test('the documentation explains exactly the codes that exist, each once', (t) => {
  const page = readFileSync('docs/errors.md', 'utf8');
  const documented = [...page.matchAll(/^\| `([a-z0-9_]+)` +\|/gm)].map((match) => match[1]);
  t.strictSame(documented.sort(), Object.keys(errorCodes).sort());
  t.end();
});

void t.test('every explanation fills every cell that its table needs', (t) => {
  const page = readFileSync('docs/errors.md', 'utf8');
  for (const row of page.match(/^\| `.*$/gm) ?? []) {
    const [, code, meaning, ...others] = row.split(/(?<!\\)\|/).map((cell) => cell.trim());
    t.not(meaning, '', `${code} has a meaning`);
    t.not(others.at(-2), '', `${code} has something to do about it`);
  }
  t.end();
});

void t.test('every code is told by something in src', (t) => {
  const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .map((name) => join('src', name))
    .filter((path) => path.endsWith('.ts') && path !== catalogue)
    .map((path) => readFileSync(path, 'utf8'));
  t.ok(sources.length > 50, 'the sources were found');
  const unused = Object.keys(errorCodes).filter(
    (code) => !sources.some((text) => text.includes(`'${code}'`)),
  );
  t.strictSame(unused, []);
  t.end();
});
