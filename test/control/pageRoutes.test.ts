import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { pageFiles } from '../../src/control/api/PageFiles.js';
import { ApiBench } from '../fixtures/ApiBench.js';

/** What is named and never loaded. */
const names = ['https://github.com/bbc/audiowaveform', 'http://www.w3.org/2000/svg'];
const built = fileURLToPath(new URL('../../src/web/', import.meta.url));

async function start(t: Test): Promise<ApiBench> {
  return await ApiBench.start(t, t.testdir({}), { adminKeys: ['admin'] });
}

/** An answer as it comes over the wire; `fetch` unzips and follows dots. */
async function raw(
  bench: ApiBench,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number | undefined; headers: NodeJS.Dict<string | string[]>; body: Buffer }> {
  const { hostname, port } = new URL(bench.url);
  return await new Promise((resolve, reject) => {
    request({ hostname, port, path, headers }, (response) => {
      void buffer(response).then((body) =>
        resolve({ status: response.statusCode, headers: response.headers, body }),
      );
    })
      .on('error', reject)
      .end();
  });
}

await t.test(
  'the page and everything that it names are served to anybody, under a strict policy',
  async (t) => {
    const bench = await start(t);
    const page = await bench.get('/');
    t.equal(page.status, 200);
    t.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
    const html = await page.text();
    const named = [...html.matchAll(/(?:src|href)="(page\/[^"]+)"/g)].map(([, path = '']) => path);
    for (const name of ['main.js', 'page.css', 'player.css', 'icon.svg', 'Player.js'])
      t.ok(
        named.some((path) => path.endsWith(`/${name}`)),
        `${name} is named`,
      );
    for (const path of ['', ...named]) {
      const answer = await bench.get(`/${path}`);
      t.equal(answer.status, 200, path);
      const policy = answer.headers.get('content-security-policy') ?? '';
      t.match(policy, /^default-src 'none'; /);
      t.match(policy, /; frame-ancestors 'none'; /);
      t.notMatch(policy, /unsafe|data:|blob:|https?:|\*/);
      t.equal(answer.headers.get('x-content-type-options'), 'nosniff');
      t.equal(answer.headers.get('referrer-policy'), 'no-referrer');
      await answer.arrayBuffer();
    }
  },
);

await t.test('nothing in it needs what the policy forbids, or what is elsewhere', (t) => {
  const files = readdirSync(built).filter((name) => /\.(html|css|js)$/.test(name));
  t.ok(files.length > 30);
  for (const name of files) {
    const text = readFileSync(join(built, name), 'utf8');
    t.notMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/, name);
    const addresses = [...text.matchAll(/https?:\/\/[^\s"'`)]+/g)].map(([url]) => url);
    const told = addresses.filter((url) => !names.some((name) => url.startsWith(name)));
    t.same(told, [], name);
  }
  const html = readFileSync(join(built, 'index.html'), 'utf8');
  t.notMatch(html, /\sstyle=|\son\w+=|<style/);
  t.notMatch(html, /<script(?![^>]*\ssrc=)/);
  t.end();
});

await t.test('every module that another imports is served', async (t) => {
  const bench = await start(t);
  const html = await (await bench.get('/')).text();
  const main = /src="(page\/[^"]+\/)main\.js"/.exec(html)?.[1] ?? '';
  const seen = new Set<string>();
  const follow = async (name: string): Promise<void> => {
    if (seen.has(name)) return;
    seen.add(name);
    const answer = await bench.get(`/${main}${name}`);
    t.equal(answer.status, 200, name);
    t.equal(answer.headers.get('content-type'), 'text/javascript; charset=utf-8');
    const imports = [...(await answer.text()).matchAll(/from '([^']+)'/g)].map(([, path = '']) => path);
    for (const path of imports) {
      t.match(path, /^\.\/\w+\.js$/, `${name} imports ${path}`);
      await follow(path.slice(2));
    }
  };
  await follow('main.js');
  t.ok(seen.size > 25);
});

await t.test('what is there once is there for good, and the start page is asked for again', async (t) => {
  const bench = await start(t);
  const page = await bench.get('/');
  t.equal(page.headers.get('cache-control'), 'no-cache');
  const etag = page.headers.get('etag') ?? '';
  const again = await bench.get('/', { 'if-none-match': etag });
  t.equal(again.status, 304);
  t.equal(await again.text(), '');
  const script = /src="(page\/[^"]+)"/.exec(await page.text())?.[1] ?? '';
  const answer = await bench.get(`/${script}`);
  t.match(answer.headers.get('cache-control'), /immutable/);
  t.equal((await bench.get('/', {}, 'HEAD')).status, 200);
  t.equal((await bench.get('/', {}, 'POST')).status, 401, 'it can only be read');
});

await t.test('it comes zipped to whoever takes that', async (t) => {
  const bench = await start(t);
  const plain = await raw(bench, '/');
  t.equal(plain.headers['content-encoding'], undefined);
  const zipped = await raw(bench, '/', { 'accept-encoding': 'br, gzip' });
  t.equal(zipped.headers['content-encoding'], 'gzip');
  t.equal(zipped.headers['vary'], 'accept-encoding');
  t.equal(Number(zipped.headers['content-length']), zipped.body.length);
  t.same(gunzipSync(zipped.body), plain.body);
});

await t.test('no path of a request leads to a file', async (t) => {
  const bench = await start(t);
  const script = /src="(page\/[^"]+\/)main\.js"/.exec(await (await bench.get('/')).text())?.[1] ?? '';
  for (const path of [
    '/index.html',
    '/page/main.js',
    `/${script}`,
    `/${script}index.html`,
    `/${script}build.mjs`,
    `/${script}../index.html`,
    `/${script}..%2findex.html`,
    `/${script}..%5cindex.html`,
    `/${script}%2e%2e/%2e%2e/package.json`,
    `/${script}../../../../package.json`,
    `/${script}main.js/`,
    `/${script}MAIN.JS`,
    `//${script}main.js`,
  ])
    t.equal((await raw(bench, path)).status, 401, path);
});

await t.test('where nothing was built there is no page, and nothing else is missing', (t) => {
  t.equal(pageFiles(join(t.testdir({}), 'none')).size, 0);
  const dir = t.testdir({ 'index.html': '<script src="page/main.js">', 'main.js': '1', 'key.pem': 'secret' });
  const files = pageFiles(dir);
  t.equal(files.size, 2);
  const [module] = [...files.keys()].filter((path) => path !== '/');
  t.match(files.get('/')?.body.toString(), `src="${module?.slice(1) ?? '?'}"`);
  t.end();
});
