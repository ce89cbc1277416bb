import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import t from 'tap';
import { UpstreamNames } from '../../src/relay/UpstreamNames.js';
import { Relay, account } from './fixtures/Relay.js';
import { connected, media, start } from './fixtures/twilioCall.js';
import { until } from './fixtures/until.js';

type Answer = Promise<readonly LookupAddress[]>;

const one: LookupAddress = { address: '192.0.2.1', family: 4 };
const other: LookupAddress = { address: '192.0.2.2', family: 4 };
const six: LookupAddress = { address: '2001:db8::1', family: 6 };
const never: Answer = new Promise(() => undefined);
const nobody = (): Answer => Promise.reject(new Error('nobody is asked'));

function all(names: UpstreamNames, name = 'bot.example.com'): Promise<LookupAddress[]> {
  return new Promise((resolve, reject) => {
    names.lookup(name, { all: true }, (error, addresses) => {
      if (error === null) resolve(addresses as LookupAddress[]);
      else reject(error);
    });
  });
}

await t.test(
  'a name is asked for once while its answer is fresh, and while it is being asked for',
  async (t) => {
    const asked: string[] = [];
    const names = new UpstreamNames((name) => {
      asked.push(name);
      return Promise.resolve([one, other]);
    }, nobody);
    t.same(await Promise.all([all(names), all(names), all(names, 'b.example.com')]), [
      [one, other],
      [one, other],
      [one, other],
    ]);
    t.same(await all(names), [one, other]);
    t.same(asked, ['bot.example.com', 'b.example.com']);
  },
);

await t.test(
  'when the look-up hangs, the answer of before is used, however old, and it is asked once',
  async (t) => {
    let answer: Answer = Promise.resolve([one]);
    let asked = 0;
    const names = new UpstreamNames(() => {
      asked++;
      return answer;
    }, nobody);
    t.same(await all(names), [one]);
    const now = performance.now.bind(performance);
    t.teardown(() => (performance.now = now));
    performance.now = () => now() + 3_600_000;
    let arrive: ((addresses: readonly LookupAddress[]) => void) | undefined;
    answer = new Promise((resolve) => (arrive = resolve));
    for (let times = 0; times < 3; times++) t.same(await all(names), [one]);
    t.equal(asked, 2, 'one question fills one thread of the pool');
    arrive?.([other]);
    await new Promise(setImmediate);
    t.same(await all(names), [other], 'an answer that comes late is kept');
    answer = Promise.reject(new Error('SERVFAIL'));
    answer.catch(() => undefined);
    performance.now = () => now() + 7_200_000;
    t.same(await all(names), [other], 'and is used when the next question fails');
  },
);

await t.test(
  'a name that was never found is asked for elsewhere when the look-up hangs or fails',
  async (t) => {
    const hanging = new UpstreamNames(
      () => never,
      () => Promise.resolve([one]),
    );
    t.same(await all(hanging), [one]);
    t.same(await all(hanging), [one], 'and that answer is kept');
    const failing = new UpstreamNames(
      () => Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })),
      () => Promise.reject(new Error('nor here')),
    );
    await t.rejects(all(failing), { code: 'ENOTFOUND', message: 'no such name' });
  },
);

await t.test('one address of a family, and localhost, without asking anybody', async (t) => {
  const names = new UpstreamNames(() => Promise.resolve([six, one]), nobody);
  const single = (options: object): Promise<unknown[]> =>
    new Promise((resolve) => names.lookup('bot.example.com', options, (...answer) => resolve(answer)));
  t.same(await single({}), [null, six.address, 6]);
  t.same(await single({ family: 4 }), [null, one.address, 4]);
  t.match(await single({ family: 4, all: true }), [null, [one]]);
  const lonely = new UpstreamNames(nobody, nobody);
  const server = createServer((socket) => socket.end());
  t.teardown(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await once(connect({ port, host: 'localhost', lookup: lonely.lookup }), 'connect');
});

await t.test('a bot is dialled by its name while the look-up hangs', async (t) => {
  const relay = await Relay.start(t, {
    accounts: (bot) => [
      account({ upstream: { twilio: bot.url.replace('127.0.0.1', 'bot.example.com'), jambonz: null } }),
    ],
    names: new UpstreamNames(
      () => never,
      () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]),
    ),
  });
  const caller = await relay.twilio().open();
  caller.send(connected, start(), media(0));
  const bot = await relay.bot.connection();
  await until(() => bot.received.length === 3, 'the frame at the bot');
  t.match(bot.request.headers.host, /^bot\.example\.com:/);
});
