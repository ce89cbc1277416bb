import t from 'tap';
import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import twilio from 'twilio';
import type { AccountConfig, Config } from '../../src/config/Config.js';
import { loadConfig } from '../../src/config/load.js';
import type { PlainRequest, PlainResponse } from '../../src/control/ControlMessage.js';
import { answerMediaHttp } from '../../src/control/MediaHttp.js';
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

function ask(config: Config, request: PlainRequest): PlainResponse {
  const threads = { media: 'ready', recorder: 'ready', control: 'ready' } as const;
  return answerMediaHttp(request, { config, tokens, threads, log: pino({ level: 'silent' }) });
}

/** What the TwiML orders: the stream's URL and its start token. */
function orderOf({ body }: PlainResponse): { url: string | undefined; token: string | undefined } {
  return {
    url: /<Connect><Stream url="([^"]*)">/.exec(body)?.[1],
    token: /<Parameter name="reelayToken" value="([^"]*)"\/>/.exec(body)?.[1],
  };
}

await t.test('a signed webhook gets TwiML with a token that admits this call once', (t) => {
  const config = configWith({ authTokens: ['new', 'old'] }, { publicUrl });
  for (const token of ['new', 'old']) {
    const response = ask(config, signed(token, form));
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
  t.end();
});

await t.test('a webhook that is delivered twice is answered twice', (t) => {
  const config = configWith({ authTokens: ['k'] }, { publicUrl });
  const [first, second] = [ask(config, signed('k', form)), ask(config, signed('k', form))];
  const withoutToken = (response: PlainResponse) => response.body.replace(/value="[^"]*"/, '');
  t.equal(withoutToken(first), withoutToken(second));
  t.end();
});

await t.test('nobody else gets any', (t) => {
  const config = configWith({ authTokens: ['k'] }, { publicUrl });
  const refused = (request: PlainRequest, status: number, code: string) => {
    const response = ask(config, request);
    t.equal(response.status, status, code);
    t.match(JSON.parse(response.body), { code, message: String });
  };
  refused(webhook(form), 403, 'signature_missing');
  refused(signed('wrong', form), 403, 'signature_invalid');
  refused(
    { ...signed('k', form), body: Buffer.from('AccountSid=AC1&CallSid=CAother') },
    403,
    'signature_invalid',
  );
  refused(signed('k', form, 'https://other.example.com/twilio/voice'), 403, 'signature_invalid');
  refused(signed('k', { ...form, AccountSid: 'AC2' }), 403, 'account_unknown');
  refused(signed('k', { AccountSid: 'AC1' }), 400, 'request_invalid');
  refused(signed('k', { ...form, CallSid: '../../x' }), 400, 'request_invalid');
  refused({ ...signed('k', form), method: 'GET' }, 404, 'not_found');
  refused(webhook(form, { url: '/elsewhere' }), 404, 'not_found');
  t.end();
});

await t.test('an account without secrets is answered on this machine only', (t) => {
  const config = configWith({});
  const local = webhook(form, { remoteAddress: '::ffff:127.0.0.1', headers: { host: 'localhost:8080' } });
  t.equal(orderOf(ask(config, local)).url, 'ws://localhost:8080/twilio');
  t.equal(ask(config, webhook(form)).status, 403);
  t.match(JSON.parse(ask(config, webhook(form)).body), {
    code: 'account_loopback_only',
    remedy: /authToken/,
  });
  const behindProxy = { ...local, headers: { ...local.headers, 'x-forwarded-for': '203.0.113.7' } };
  t.equal(ask(config, behindProxy).status, 403);
  t.end();
});

await t.test('without a public URL the stream goes to the host that was asked, with TLS', (t) => {
  const config = configWith({ authTokens: ['k'] });
  t.equal(orderOf(ask(config, signed('k', form))).url, 'wss://relay.example.com/twilio');
  t.end();
});

await t.test('health is told on the media port too', (t) => {
  const config = configWith({});
  t.equal(ask(config, webhook({}, { method: 'GET', url: '/healthz' })).status, 200);
  t.match(JSON.parse(ask(config, webhook({}, { method: 'GET', url: '/readyz' })).body), { ready: true });
  t.end();
});
