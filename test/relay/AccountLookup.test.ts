import t, { type Test } from 'tap';
import type { Config } from '../../src/config/Config.js';
import { jambonzStart } from '../../src/providers/jambonz/messages.js';
import { AccountFinder, type FoundAccount } from '../../src/relay/AccountFinder.js';
import { Counters } from '../../src/tap/Counters.js';
import { Track } from '../../src/tap/TapRecord.js';
import { Relay, account, authToken, type Caller, type RelayOptions } from './fixtures/Relay.js';
import { connected, media, payload, start, stop } from './fixtures/twilioCall.js';
import { until } from './fixtures/until.js';

t.jobs = 4;

const accountLookup: NonNullable<Config['accountLookup']> = {
  url: 'https://accounts.example.com/{account}',
  key: null,
  ttlSeconds: 60,
  staleSeconds: 600,
  timeoutMs: 2000,
};
const far = 'AC-far';
const farToken = 'token-of-the-far-account';

/** Questions that are answered when a test says so. */
class Desk {
  readonly asked: string[] = [];
  readonly #answers = new Map<string, (found: FoundAccount) => void>();

  readonly ask = (accountId: string): Promise<FoundAccount> => {
    this.asked.push(accountId);
    return new Promise((resolve) => this.#answers.set(accountId, resolve));
  };

  async answer(accountId: string, found: FoundAccount): Promise<void> {
    await until(() => this.#answers.has(accountId), `a question about ${accountId}`);
    this.#answers.get(accountId)?.(found);
    this.#answers.delete(accountId);
  }
}

async function relayWith(t: Test, options: RelayOptions = {}): Promise<{ relay: Relay; desk: Desk }> {
  const desk = new Desk();
  const relay = await Relay.start(t, {
    findAccount: desk.ask,
    ...options,
    config: { accountLookup, ...options.config },
  });
  return { relay, desk };
}

/** The account as the look-up knows it. */
function farAccount(relay: Relay, changes: Parameters<typeof account>[0] = {}) {
  const { url } = relay.bot;
  const twilio = { authTokens: [farToken], requireToken: false };
  return account({ id: far, twilio, upstream: { twilio: url, jambonz: url }, ...changes });
}

async function digested(caller: Caller): Promise<void> {
  await new Promise<void>((resolve) => {
    caller.socket.once('pong', () => resolve());
    caller.socket.ping();
  });
}

void t.test('messages wait in order for their account, then go to the bot and the recording', async (t) => {
  const { relay, desk } = await relayWith(t);
  const caller = await relay.twilio('/twilio', farToken).open();
  t.equal(relay.counters.get('unprovenStreams'), 1);
  const opening = [connected, start({ accountSid: far })];
  const frames = Array.from({ length: 50 }, (_none, index) => media(index));
  caller.send(...opening, ...frames);
  await digested(caller);
  t.same(relay.tap.calls, [], 'nothing is recorded before the account is proven');
  t.equal(relay.bot.upgrades, 0, 'nor forwarded');
  await desk.answer(far, farAccount(relay));
  caller.send(media(50));
  const bot = await relay.bot.connection();
  await until(() => bot.received.length === 53, 'everything at the bot');
  t.same(bot.texts(), [...opening, ...frames, media(50)]);
  const heard = Buffer.concat(Array.from({ length: 51 }, (_none, index) => payload(index)));
  t.ok(relay.tap.stream().heard(Track.caller).equals(heard));
  t.match(relay.tap.calls[0]?.facts, { accountId: far, failed: undefined });
  t.equal(relay.counters.get('unprovenStreams'), 0);
  t.equal(relay.counters.get('pendingStreams'), 0);

  const next = await relay.twilio('/twilio', farToken).open();
  next.send(connected, start({ accountSid: far, callSid: 'CA-next', streamSid: 'MZ-next' }));
  await until(() => relay.tap.calls.length === 2, 'the next call');
  t.same(desk.asked, [far], 'which needs no question, so soon');
});

void t.test('a looked-up account has to be proven by its own secret', async (t) => {
  const { relay, desk } = await relayWith(t);
  const caller = await relay.twilio('/twilio', 'guessed').open();
  caller.send(connected, start({ accountSid: far }), media(0));
  await desk.answer(far, farAccount(relay));
  t.same(await caller.closed(), { code: 1008, reason: 'signature_invalid' });
  const other = await relay.twilio().open();
  other.send(connected, start({ accountSid: far }), media(0));
  t.same(
    await other.closed(),
    { code: 1008, reason: 'account_mismatch' },
    'a configured one proves itself only',
  );
  const open = { ...farAccount(relay), id: 'AC-open', twilio: { authTokens: [], requireToken: false } };
  const behind = relay.twilio('/twilio', farToken, { 'X-Forwarded-For': '203.0.113.1' });
  (await behind.open()).send(connected, start({ accountSid: 'AC-open' }));
  await desk.answer('AC-open', open);
  t.same(await behind.closed(), { code: 1008, reason: 'account_loopback_only' });
  t.same(relay.tap.calls, []);
  t.equal(relay.bot.upgrades, 0);
});

void t.test('the credentials of a looked-up jambonz account are held against it', async (t) => {
  const { relay, desk } = await relayWith(t);
  const pairs = { credentials: [{ username: 'its', password: 'own' }], returns: 'streaming' } as const;
  const jambonz = { ...account().jambonz, ...pairs };
  const first = jambonzStart({ sampleRate: 8000, mixType: 'mono', callSid: 'c', accountSid: far });
  const good = await relay.jambonz('/jambonz', 'its:own').open();
  const bad = await relay.jambonz('/jambonz', 'its:other').open();
  for (const caller of [good, bad]) caller.send(Buffer.alloc(320, 7), first, Buffer.alloc(320, 8));
  await desk.answer(far, farAccount(relay, { jambonz }));
  t.same(await bad.closed(), { code: 1008, reason: 'credentials_invalid' });
  const bot = await relay.bot.connection();
  await until(() => bot.received.length === 3, 'start and audio at the bot');
  t.equal(relay.tap.stream().heard(Track.caller).length, 640);
  t.same(desk.asked, [far], 'two sockets wait for one answer');
});

void t.test('an upgrade that could prove nothing asks nobody', async (t) => {
  const { relay, desk } = await relayWith(t);
  const proxied = { 'X-Forwarded-For': '203.0.113.1' };
  t.match(await relay.twilio('/twilio', null, proxied).refusal(), { status: 401, body: /signature_missing/ });
  const malformed = { ...proxied, 'X-Twilio-Signature': 'not one' };
  t.match(await relay.twilio('/twilio', null, malformed).refusal(), {
    status: 403,
    body: /signature_invalid/,
  });
  t.match(await relay.forwarded('/jambonz', proxied).refusal(), { status: 401 });
  t.same(desk.asked, []);
});

void t.test('where * takes every account, nobody is asked', async (t) => {
  const { relay, desk } = await relayWith(t, { accounts: () => [account({ id: '*' })] });
  t.match(await relay.twilio('/twilio', 'guessed').refusal(), { status: 403, body: /signature_invalid/ });
  const caller = await relay.twilio('/twilio', authToken).open();
  caller.send(connected, start({ accountSid: far }));
  await until(() => relay.tap.calls.length === 1, 'the call');
  t.same(desk.asked, []);
});

for (const [name, found, expected] of [
  ['nobody knows', null, { code: 1008, reason: 'account_unknown' }],
  ['nobody can be asked about', 'unavailable', { code: 1013, reason: 'accounts_unavailable' }],
] as const) {
  void t.test(`a stream of an account that ${name}`, async (t) => {
    const { relay, desk } = await relayWith(t);
    const caller = await relay.twilio('/twilio', farToken).open();
    caller.send(connected, start({ accountSid: far }), media(0));
    await desk.answer(far, found);
    t.same(await caller.closed(), expected);
    t.same(relay.tap.calls, []);
    t.equal(relay.lines(expected.reason).length, 1);
  });
}

void t.test('what waits is bounded', async (t) => {
  const { relay } = await relayWith(t);
  const caller = await relay.twilio('/twilio', farToken).open();
  caller.send(connected, start({ accountSid: far }));
  for (let index = 0; index < 1001; index++) caller.send(media(index));
  t.same(await caller.closed(), { code: 1013, reason: 'accounts_unavailable' });
  t.equal(relay.counters.get('pendingStreams'), 0);
});

void t.test('a call that is over before its account is found is recorded all the same', async (t) => {
  const { relay, desk } = await relayWith(t);
  const caller = await relay.twilio('/twilio', farToken).open();
  caller.send(connected, start({ accountSid: far }), media(0), media(1), stop());
  await digested(caller);
  caller.socket.close(1000);
  await caller.closed();
  t.same(relay.tap.calls, []);
  await desk.answer(far, farAccount(relay));
  await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end of the call');
  t.equal(relay.tap.stream().heard(Track.caller).length, 320);
  t.same(relay.tap.stream().end_, { reason: 'stop', closeCode: null });
  await relay.server.drain();
});

void t.test('a path that names an account is for that account', async (t) => {
  const { relay, desk } = await relayWith(t);
  const good = await relay.twilio(`/twilio/${far}`, farToken).open();
  good.send(connected, start({ accountSid: far }));
  await desk.answer(far, farAccount(relay));
  await until(() => relay.tap.calls.length === 1, 'the call');
  const wrong = await relay.twilio(`/twilio/${far}`, farToken).open();
  wrong.send(connected, start({ accountSid: 'AC-else' }));
  t.same(await wrong.closed(), { code: 1008, reason: 'account_mismatch' });
  t.same(desk.asked, [far], 'an account that cannot be meant is not asked for');
  t.match(await relay.twilio(`/twilio/${account().id}`, farToken).refusal(), { status: 403 });
});

void t.test('strangers that have proven nothing are let in in small numbers', async (t) => {
  const { relay } = await relayWith(t);
  const strangers: Caller[] = [];
  for (let index = 0; index < 64; index++) strangers.push(await relay.twilio('/twilio', farToken).open());
  t.match(await relay.twilio('/twilio', farToken).refusal(), { status: 503, body: /too_many_streams/ });
  await relay.twilio('/twilio', authToken).open();
  strangers[0]?.socket.close();
  await strangers[0]?.closed();
  await until(() => relay.counters.get('unprovenStreams') === 63, 'the place to be free');
  await relay.twilio('/twilio', farToken).open();
});

void t.test('guesses that a look-up might prove take no more time than others', async (t) => {
  const many = Array.from({ length: 3000 }, (_none, index) =>
    account({ id: `AC${index}`, twilio: { authTokens: [`token-${index}`], requireToken: false } }),
  );
  const { relay } = await relayWith(t, { accounts: () => many });
  const guesses = Array.from({ length: 60 }, () => relay.twilio('/twilio', 'guess'));
  await until(() => guesses.every((guess) => guess.opened || guess.refused !== undefined), 'an answer each');
  t.ok(guesses.some((guess) => guess.opened));
  t.ok(guesses.some((guess) => guess.refused?.status === 503));
});

void t.test('one question for all who wait, an answer for a while, and a bound for strangers', async (t) => {
  const counters = new Counters();
  const asked: string[] = [];
  const finder = new AccountFinder((id) => {
    asked.push(id);
    return id === 'down' ? Promise.reject(new Error('down')) : Promise.resolve(id === 'a' ? account() : null);
  }, counters);
  const both = [finder.find('a', false), finder.find('a', true)];
  t.equal(both[0], both[1]);
  t.match(await both[0], { id: account().id });
  t.match(finder.find('a', true), { id: account().id }, 'at once, without a promise');
  t.equal(await finder.find('nobody', false), null);
  t.equal(finder.find('nobody', false), null);
  t.equal(await finder.find('down', false), 'unavailable');
  t.equal(await finder.find('down', false), 'unavailable', 'which is asked again');
  t.same(asked, ['a', 'nobody', 'down', 'down']);
  finder.forget();
  await finder.find('a', false);
  t.equal(asked.length, 5);
  const strangers = Array.from({ length: 300 }, (_none, index) => finder.find(`x${index}`, true));
  t.ok(strangers.filter((found) => found === 'unavailable').length >= 100);
  t.equal(await finder.find('known-peer', false), null, 'whoever has proven something is still heard');
  for (const stranger of strangers) await stranger;
  t.ok(asked.length < 210, String(asked.length));
});
