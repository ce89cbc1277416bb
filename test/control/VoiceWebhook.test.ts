import t from 'tap';
import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import twilio from 'twilio';
import { accountOf, type AccountConfig, type Config } from '../../src/config/Config.js';
import { loadConfig } from '../../src/config/load.js';
import { ReelayError } from '../../src/config/ReelayError.js';
import type { PlainRequest, PlainResponse } from '../../src/control/ControlMessage.js';
import { answerMediaHttp } from '../../src/control/MediaHttp.js';
import type { FindAccount } from '../../src/control/VoiceWebhook.js';
import { StartTokens } from '../../src/providers/twilio/startToken.js';

const tokens = new StartTokens(randomBytes(32));
const form = {
  AccountSid: 'AC1',
  CallSid: 'CA1',
  From: '+15550100001',
  To: '+15550100002',
  CallStatus: 'ringing',
};
const publicUrl = 'https://relay.example.com';

function configWith(
  twilioAccount: Partial<AccountConfig['twilio']>,
  more: Partial<Config['media']> = {},
): Config {
  const base = loadConfig({}, {}, '/');
  const [account] = base.accounts;
  if (account === undefined) throw new Error('no account');
  const one = { ...account, id: 'AC1', twilio: { ...account.twilio, ...twilioAccount } };
  return { ...base, media: { ...base.media, ...more }, accounts: [one] };
}

function webhook(params: Record<string, string>, more: Partial<PlainRequest> = {}): PlainRequest {
  return {
    method: 'POST',
    url: '/twilio/voice',
    headers: { host: 'relay.example.com', 'content-type': 'application/x-www-form-urlencoded' },
    body: Buffer.from(new URLSearchParams(params).toString()),
    remoteAddress: '203.0.113.7',
    ...more,
  };
}

/** Signed by Twilio's own helper. */
function signed(
  token: string,
  params: Record<string, string>,
  url = `${publicUrl}/twilio/voice`,
): PlainRequest {
  const signature = twilio.getExpectedTwilioSignature(token, url, params);
  const plain = webhook(params);
  return { ...plain, headers: { ...plain.headers, 'x-twilio-signature': signature } };
}

function ask(
  config: Config,
  request: PlainRequest,
  findAccount: FindAccount = (accountId) => Promise.resolve(accountOf(config, accountId)),
): Promise<PlainResponse> {
  const threads = { media: 'ready', recorder: 'ready', control: 'ready' } as const;
  const rooms = { receive: () => Promise.reject(new Error('this is about calls')) };
  const log = pino({ level: 'silent' });
  return answerMediaHttp(request, { config, tokens, threads, findAccount, rooms, log });
}

/** What the TwiML orders: the stream's URL and its start token. */
function orderOf({ body }: PlainResponse): { url: string | undefined; token: string | undefined } {
  return {
    url: /<Connect><Stream url="([^"]*)">/.exec(body)?.[1],
    token: /<Parameter name="reelayToken" value="([^"]*)"\/>/.exec(body)?.[1],
  };
}

await t.test('a signed webhook gets TwiML with a token that admits this call once', async (t) => {
  const config = configWith({ authTokens: ['new', 'old'] }, { publicUrl });
  for (const token of ['new', 'old']) {
    const response = await ask(config, signed(token, form));
    t.equal(response.status, 200);
    t.match(response.headers, { 'content-type': /^text\/xml/ });
    const order = orderOf(response);
    t.equal(order.url, 'wss://relay.example.com/twilio');
    const scope = {
      accountId: 'AC1',
      callId: 'CA1',
      path: '/twilio',
      authTokens: ['new', 'old'],
      nowMs: Date.now(),
    };
    t.equal(tokens.redeem(order.token, { ...scope, callId: 'CA2' }), 'token_invalid');
    t.equal(tokens.redeem(order.token, scope), 'ok');
    t.equal(tokens.redeem(order.token, scope), 'token_invalid');
  }
});

await t.test('the stream is told who calls whom, as far as Twilio has said it', async (t) => {
  const config = configWith({ authTokens: ['k'] }, { publicUrl });
  const nobody = { AccountSid: 'AC1', CallSid: 'CA1' };
  const parameters = async (more: Record<string, string>): Promise<string[]> => {
    const { body } = await ask(config, signed('k', { ...nobody, ...more }));
    return body.match(/<Parameter name="(?!reelayToken)[^/]*\/>/g) ?? [];
  };
  t.same(await parameters({}), []);
  t.same(await parameters({ From: '+15550100', To: '"A" <sip:a&b>', Direction: 'inbound' }), [
    '<Parameter name="from" value="+15550100"/>',
    '<Parameter name="to" value="&quot;A&quot; &lt;sip:a&amp;b>"/>',
    '<Parameter name="direction" value="inbound"/>',
  ]);
  t.same(await parameters({ From: '', To: '1'.repeat(257) }), [], 'what makes no sense isn’t passed on');
});

await t.test('a webhook that is delivered twice is answered twice', async (t) => {
  const config = configWith({ authTokens: ['k'] }, { publicUrl });
  const first = await ask(config, signed('k', form));
  const second = await ask(config, signed('k', form));
  const withoutToken = (response: PlainResponse) => response.body.replace(/value="[^"]*"/, '');
  t.equal(withoutToken(first), withoutToken(second));
});

await t.test('nobody else gets any', async (t) => {
  const config = configWith({ authTokens: ['k'] }, { publicUrl });
  const refused = async (request: PlainRequest, status: number, code: string) => {
    const response = await ask(config, request);
    t.equal(response.status, status, code);
    t.match(JSON.parse(response.body), { code, message: String });
  };
  await refused(webhook(form), 403, 'signature_missing');
  await refused(signed('wrong', form), 403, 'signature_invalid');
  await refused(
    { ...signed('k', form), body: Buffer.from('AccountSid=AC1&CallSid=CAother') },
    403,
    'signature_invalid',
  );
  await refused(signed('k', form, 'https://other.example.com/twilio/voice'), 403, 'signature_invalid');
  await refused(signed('k', { ...form, AccountSid: 'AC2' }), 403, 'account_unknown');
  await refused(signed('k', { AccountSid: 'AC1' }), 400, 'request_invalid');
  await refused(signed('k', { ...form, CallSid: '../../x' }), 400, 'request_invalid');
  await refused({ ...signed('k', form), method: 'GET' }, 404, 'not_found');
  await refused(webhook(form, { url: '/elsewhere' }), 404, 'not_found');
});

await t.test('an account without secrets is answered on this machine only', async (t) => {
  const config = configWith({});
  const local = webhook(form, { remoteAddress: '::ffff:127.0.0.1', headers: { host: 'localhost:8080' } });
  t.equal(orderOf(await ask(config, local)).url, 'ws://localhost:8080/twilio');
  t.equal((await ask(config, webhook(form))).status, 403);
  t.match(JSON.parse((await ask(config, webhook(form))).body), {
    code: 'account_loopback_only',
    remedy: /authToken/,
  });
  const behindProxy = { ...local, headers: { ...local.headers, 'x-forwarded-for': '203.0.113.7' } };
  t.equal((await ask(config, behindProxy)).status, 403);
});

await t.test('without a public URL the stream goes to the host that was asked, with TLS', async (t) => {
  const config = configWith({ authTokens: ['k'] });
  t.equal(orderOf(await ask(config, signed('k', form))).url, 'wss://relay.example.com/twilio');
});

await t.test('health is told on the media port too', async (t) => {
  const config = configWith({});
  t.equal((await ask(config, webhook({}, { method: 'GET', url: '/healthz' }))).status, 200);
  t.match(JSON.parse((await ask(config, webhook({}, { method: 'GET', url: '/readyz' }))).body), {
    ready: true,
  });
});

await t.test('an account that the configuration does not list is looked up', async (t) => {
  const lookup = { url: 'https://x/{account}', key: null, ttlSeconds: 1, staleSeconds: 1, timeoutMs: 1 };
  const config = { ...configWith({}, { publicUrl }), accountLookup: lookup };
  const [base] = config.accounts;
  if (base === undefined) throw new Error('no account');
  const asked: string[] = [];
  const find: FindAccount = (id) => {
    asked.push(id);
    if (id === 'AC3') return Promise.reject(new ReelayError('accounts_unavailable', { value: id }));
    const known = { ...base, id, twilio: { authTokens: ['looked-up'], requireToken: false } };
    return Promise.resolve(id === 'AC2' ? known : undefined);
  };
  const codeOf = ({ body }: PlainResponse) => (JSON.parse(body) as { code: string }).code;
  const good = await ask(config, signed('looked-up', { ...form, AccountSid: 'AC2' }), find);
  t.equal(good.status, 200);
  t.type(orderOf(good).token, 'string');
  t.equal(codeOf(await ask(config, signed('k', { ...form, AccountSid: 'AC2' }), find)), 'signature_invalid');
  t.equal(codeOf(await ask(config, signed('k', { ...form, AccountSid: 'AC9' }), find)), 'account_unknown');
  const down = await ask(config, signed('k', { ...form, AccountSid: 'AC3' }), find);
  t.equal(down.status, 503, 'Twilio falls back to its second URL');
  t.equal(codeOf(down), 'accounts_unavailable');
  t.same(asked, ['AC2', 'AC2', 'AC9', 'AC3']);
  t.equal(codeOf(await ask(config, webhook({ ...form, AccountSid: 'AC4' }), find)), 'signature_missing');
  t.equal(asked.length, 4, 'nobody is asked on behalf of a request without a signature');
});
