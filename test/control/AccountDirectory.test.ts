import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import type { Config } from '../../src/config/Config.js';
import { loadConfig } from '../../src/config/load.js';
import { AccountDirectory } from '../../src/control/AccountDirectory.js';
import type { Clock } from '../../src/storage/Clock.js';

t.jobs = 4;

const key = 'bearer-key-of-the-endpoint';
const secret = 'secret-in-an-answer';

type Handler = (request: IncomingMessage, response: ServerResponse, accountId: string) => void;

/** An endpoint of accounts, the directory that asks it, and a clock that is moved by hand. */
class Bench {
  readonly log: string[] = [];
  readonly requests: IncomingMessage[] = [];
  handler: Handler = answerWith(200, (id) => ({ id }));
  nowMs = 1_000_000;
  config!: Config;
  directory!: AccountDirectory;
  port = 0;

  static async start(t: Test, lookup: Partial<NonNullable<Config['accountLookup']>> = {}): Promise<Bench> {
    const bench = new Bench();
    const server = createServer((request, response) => {
      bench.requests.push(request);
      bench.handler(request, response, decodeURIComponent(request.url?.split('/').at(-1) ?? ''));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => {
      server.closeAllConnections();
      server.close();
    });
    bench.port = (server.address() as AddressInfo).port;
    const base = loadConfig({}, {}, '/');
    const accountLookup = {
      url: `http://127.0.0.1:${bench.port}/v1/{account}`,
      key,
      ttlSeconds: 60,
      staleSeconds: 3600,
      timeoutMs: 8000,
      ...lookup,
    };
    const accounts = base.accounts.map((account) => ({ ...account, id: 'configured' }));
    bench.config = { ...base, accounts, accountLookup };
    const clock: Clock = {
      now: () => bench.nowMs,
      sleep: () => Promise.reject(new Error('not here')),
      deadline: () => AbortSignal.timeout(60_000),
    };
    const write = { write: (line: string) => void bench.log.push(line) };
    bench.directory = new AccountDirectory({ config: () => bench.config, clock, log: pino({}, write) });
    return bench;
  }
}

function answerWith(status: number, body: (id: string) => unknown = () => ({})): Handler {
  return (_request, response, id) => {
    const value = body(id);
    response.writeHead(status).end(typeof value === 'string' ? value : JSON.stringify(value));
  };
}

function code(error: unknown): string {
  return (error as { code: string }).code;
}

async function refused(t: Test, bench: Bench, accountId = 'far', pattern?: RegExp): Promise<void> {
  try {
    await bench.directory.find(accountId);
    t.fail('it was answered');
  } catch (error) {
    t.equal(code(error), 'accounts_unavailable');
    if (pattern !== undefined) t.match((error as Error).message, pattern);
  }
  t.notMatch(bench.log.join(), new RegExp(`${key}|${secret}`), 'no secret in the log');
}

void t.test(
  'configured accounts are never asked for; others are, by their id and with the key',
  async (t) => {
    const bench = await Bench.start(t);
    t.match(await bench.directory.find('configured'), { id: 'configured' });
    t.equal(bench.requests.length, 0);
    const store = { type: 's3', bucket: 'recordings', accessKeyId: 'a', secretAccessKey: secret };
    bench.handler = answerWith(200, (id) => ({ id, store, jambonz: { username: 'u', password: 'p' } }));
    const found = await bench.directory.find('a:b@c+d');
    t.match(found, { id: 'a:b@c+d', store: { type: 's3', bucket: 'recordings' }, record: 'always' });
    t.match(found?.jambonz.credentials, [{ username: 'u', password: 'p' }]);
    t.equal(bench.requests[0]?.url, '/v1/a%3Ab%40c%2Bd');
    t.equal(bench.requests[0]?.headers.authorization, `Bearer ${key}`);
  },
);

void t.test(
  'an answer counts for its time, and one that there is no account for a shorter one',
  async (t) => {
    const bench = await Bench.start(t);
    await bench.directory.find('far');
    bench.nowMs += 59_000;
    await bench.directory.find('far');
    t.equal(bench.requests.length, 1);
    bench.nowMs += 2000;
    await bench.directory.find('far');
    t.equal(bench.requests.length, 2);
    bench.handler = answerWith(404);
    bench.nowMs += 61_000;
    t.equal(await bench.directory.find('far'), undefined, 'an account that is gone is gone');
    bench.nowMs += 5000;
    t.equal(await bench.directory.find('far'), undefined);
    t.equal(bench.requests.length, 3);
    bench.nowMs += 2000;
    bench.handler = answerWith(200, (id) => ({ id }));
    t.match(await bench.directory.find('far'), { id: 'far' });
  },
);

void t.test('when it is down the last answer counts on, for as long as is configured', async (t) => {
  const bench = await Bench.start(t);
  await bench.directory.find('far');
  bench.nowMs += 61_000;
  bench.handler = answerWith(500, () => secret);
  t.match(await bench.directory.find('far'), { id: 'far' });
  t.equal(bench.requests.length, 2);
  t.match(await bench.directory.find('far'), { id: 'far' });
  t.equal(bench.requests.length, 2, 'and is not asked for again at once');
  bench.nowMs += 1500;
  await bench.directory.find('far');
  t.equal(bench.requests.length, 3);
  await refused(t, bench, 'never-known', /status 500/);
  bench.nowMs += 3_600_000;
  await refused(t, bench);
  t.equal(
    bench.log.filter((line) => line.includes('accounts_unavailable')).length,
    1,
    'one line while it lasts',
  );
  bench.handler = answerWith(200, (id) => ({ id }));
  bench.nowMs += 1500;
  t.match(await bench.directory.find('far'), { id: 'far' });
  t.match(bench.log.at(-1), 'again');
});

void t.test('a reload asks anew and keeps what was known in case of need', async (t) => {
  const bench = await Bench.start(t);
  await bench.directory.find('far');
  bench.directory.refresh();
  await bench.directory.find('far');
  t.equal(bench.requests.length, 2);
  bench.handler = answerWith(503);
  bench.directory.refresh();
  t.match(await bench.directory.find('far'), { id: 'far' });
  t.equal(bench.requests.length, 3);
  const { accountLookup } = bench.config;
  if (accountLookup === null) throw new Error('no look-up');
  bench.config = { ...bench.config, accountLookup: { ...accountLookup, url: `${accountLookup.url}?v=2` } };
  bench.directory.refresh();
  await refused(t, bench, 'far');
  bench.config = { ...bench.config, accountLookup: null };
  bench.directory.refresh();
  t.equal(
    await bench.directory.find('far'),
    undefined,
    'without an endpoint nobody is known but who is configured',
  );
});

const faults: readonly (readonly [string, Handler, RegExp])[] = [
  ['no JSON', answerWith(200, () => `{"id":"far","twilio":{"authToken":"${secret}"`), /not JSON/],
  ['null', answerWith(200, () => 'null'), /another account/],
  ['another account', answerWith(200, () => ({ id: 'near', apiKeys: [secret] })), /another account/],
  ['a catch-all', answerWith(200, () => ({ id: '*' })), /another account/],
  ['an unknown key', answerWith(200, (id) => ({ id, bukket: 1, apiKeys: [secret] })), /bukket/],
  ['a wrong secret', answerWith(200, (id) => ({ id, apiKeys: [` ${secret} `] })), /apiKeys/],
  ['a relative folder', answerWith(200, (id) => ({ id, store: { type: 'file', dir: 'x' } })), /type file/],
  ['the spool', answerWith(200, (id) => ({ id, store: { type: 'file', dir: '/spool/x' } })), /overlaps/],
  ['10 MB', answerWith(200, (id) => ({ id, x: 'x'.repeat(10_000_000) })), /more than 262144 bytes/],
  ['401', answerWith(401, () => secret), /status 401/],
  ['204', answerWith(204, () => ''), /status 204/],
  ['silence', () => undefined, /no answer within 300 ms/],
  ['a body without end', (_q, response) => void response.write('{'), /no answer within 300 ms/],
  ['a reset', (request) => void request.socket.destroy(), /UND_ERR_SOCKET|ECONNRESET|failed/],
];
for (const [name, handler, message] of faults) {
  void t.test(`an endpoint that answers ${name} is told of, and nothing it said`, async (t) => {
    const bench = await Bench.start(t, String(message).includes('300 ms') ? { timeoutMs: 300 } : {});
    bench.handler = handler;
    await refused(t, bench, 'far', message);
    t.match(bench.log.join(), 'accounts_unavailable');
  });
}

void t.test('an endpoint that is not there', async (t) => {
  const bench = await Bench.start(t, { url: 'http://127.0.0.1:1/{account}' });
  await refused(t, bench, 'far', /ECONNREFUSED|failed/);
});

void t.test('redirects are followed on the same origin, and never with the key to another', async (t) => {
  const bench = await Bench.start(t);
  const other = await Bench.start(t);
  bench.handler = (request, response, id) => {
    if (request.url?.startsWith('/v1/') === true) response.writeHead(307, { location: `/moved/${id}` }).end();
    else answerWith(200, () => ({ id }))(request, response, id);
  };
  t.match(await bench.directory.find('far'), { id: 'far' });
  bench.handler = (_request, response) => {
    response.writeHead(302, { location: `http://127.0.0.1:${other.port}/v1/far2` }).end();
  };
  await refused(t, bench, 'far2', /another origin/);
  t.equal(other.requests.length, 0);
  bench.handler = (request, response) => response.writeHead(302, { location: request.url ?? '/' }).end();
  await refused(t, bench, 'far3', /redirects more than/);
  bench.handler = (_request, response) => response.writeHead(302, { location: 'http://[' }).end();
  await refused(t, bench, 'far4', /nowhere/);
});

void t.test('the key goes out over TLS only, but for this machine', async (t) => {
  const bench = await Bench.start(t, { url: 'http://accounts.example.com/{account}' });
  await refused(t, bench, 'far', /neither https nor on this machine/);
});

void t.test('one question at a time for an account, and sixteen in all', async (t) => {
  const bench = await Bench.start(t, { timeoutMs: 20_000 });
  const open: (() => void)[] = [];
  let most = 0;
  bench.handler = (request, response, id) => {
    most = Math.max(
      most,
      open.push(() => answerWith(200, () => ({ id }))(request, response, id)),
    );
  };
  const same = Promise.all(Array.from({ length: 5 }, () => bench.directory.find('far')));
  const others = Promise.all(Array.from({ length: 40 }, (_none, index) => bench.directory.find(`a${index}`)));
  const state = { over: false };
  const all = Promise.all([same, others]).finally(() => (state.over = true));
  while (!state.over) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    for (const answer of open.splice(0)) answer();
  }
  const [five, forty] = await all;
  t.equal(new Set(five).size, 1, 'all five got the one answer');
  t.equal(forty.length, 40);
  t.equal(bench.requests.length, 41);
  t.ok(most <= 16, `${most} at once`);
});

void t.test(
  'whoever invents accounts pushes none out that exist, and is asked for in small numbers',
  async (t) => {
    const bench = await Bench.start(t);
    await bench.directory.find('far', true);
    bench.handler = answerWith(404);
    for (let index = 0; index < 10_100; index += 10)
      await Promise.all(Array.from({ length: 10 }, (_none, at) => bench.directory.find(`x${index + at}`)));
    bench.nowMs += 61_000;
    bench.handler = answerWith(500);
    t.match(await bench.directory.find('far'), { id: 'far' }, 'still known when nobody can be asked');
    bench.handler = answerWith(404);
    bench.nowMs += 61_000;
    const asked = bench.requests.length;
    const strangers = Array.from({ length: 200 }, (_none, index) => bench.directory.find(`y${index}`, true));
    const refusals = (await Promise.allSettled(strangers)).filter(({ status }) => status === 'rejected');
    t.ok(refusals.length >= 90, `${refusals.length} were refused`);
    t.ok(bench.requests.length - asked <= 110);
    t.equal(await bench.directory.find('z'), undefined, 'others are still asked for');
  },
);

void t.test(
  'an account that was taken away is gone, though the endpoint goes down right after',
  async (t) => {
    const bench = await Bench.start(t);
    await bench.directory.find('far');
    bench.nowMs += 61_000;
    bench.handler = answerWith(404);
    t.equal(await bench.directory.find('far'), undefined);
    bench.handler = answerWith(500);
    bench.nowMs += 11_000;
    await refused(t, bench, 'far', /status 500/);
    bench.directory.refresh();
    await refused(t, bench, 'far', /status 500/);
  },
);

void t.test('more questions than can wait are refused', async (t) => {
  const bench = await Bench.start(t, { timeoutMs: 20_000 });
  const open: (() => void)[] = [];
  bench.handler = (request, response, id) => {
    open.push(() => answerWith(200, () => ({ id }))(request, response, id));
  };
  const questions = Array.from({ length: 300 }, (_none, index) => bench.directory.find(`a${index}`));
  const state = { over: false };
  const all = Promise.allSettled(questions).finally(() => (state.over = true));
  while (!state.over) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    for (const answer of open.splice(0)) answer();
  }
  const settled = await all;
  t.equal(settled.filter(({ status }) => status === 'rejected').length, 300 - 16 - 256);
});

void t.test('an endpoint on this machine may name a folder of it', async (t) => {
  const bench = await Bench.start(t);
  bench.handler = answerWith(200, (id) => ({ id, store: { type: 'file', dir: '/recordings-of-far' } }));
  t.match(await bench.directory.find('far'), { store: { type: 'file', dir: '/recordings-of-far' } });
});
