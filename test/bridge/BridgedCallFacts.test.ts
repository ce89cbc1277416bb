import t from 'tap';
import type { BridgeableCall } from '../../src/bridge/BridgedCallFacts.js';
import { attributesOf, roomNameOf, textParameters } from '../../src/bridge/BridgedCallFacts.js';
import { facts } from './fixtures/bridgedCall.js';

function call(overrides: Partial<BridgeableCall> = {}): BridgeableCall {
  return {
    dialect: 'twilio',
    accountId: 'AC1',
    callId: 'CA1',
    from: '+4930 111/22',
    to: null,
    parameters: { queue: 'sales', callId: 'forged', nested: { a: 1 }, size: 7 },
    returnSampleRate: null,
    ...overrides,
  };
}

await t.test('a room is called what its pattern makes of the call', (t) => {
  const cases: readonly (readonly [string, string])[] = [
    ['lobby', 'lobby'],
    ['call-{callId}', 'call-CA1'],
    ['{accountId}.{provider}.{queue}', 'AC1.twilio.sales'],
    ['{from}', '+4930-111-22'],
    ['{to}', 'unknown'],
    ['{nested}-{size}', 'unknown-7'],
    ['{toString}-{__proto__}', 'unknown-unknown'],
  ];
  for (const [pattern, name] of cases) t.equal(roomNameOf(pattern, call()), name, pattern);
  const long = roomNameOf('{queue}', call({ parameters: { queue: 'x'.repeat(1000) } }));
  t.equal(long.length, 128);
  t.end();
});

await t.test('a caller says of itself what a SIP participant would', (t) => {
  t.strictSame(attributesOf(facts({ parameters: { queue: 'sales' } })), {
    'reelay.callId': 'CA1',
    'reelay.accountId': 'AC1',
    'reelay.provider': 'twilio',
    'sip.callID': 'CA1',
    'sip.callStatus': 'active',
    'sip.phoneNumber': '+4930111',
    'sip.trunkPhoneNumber': '+4930222',
    'reelay.parameter.queue': 'sales',
  });
  const { 'sip.phoneNumber': from, ...rest } = attributesOf(facts({ from: null, to: null }));
  t.equal(from, undefined);
  t.notOk('sip.trunkPhoneNumber' in rest);
  t.end();
});

await t.test('of custom parameters only texts are told, and not without end', (t) => {
  t.strictSame(textParameters({ a: 'x', b: 1, c: {}, d: 'y'.repeat(1000), ['e'.repeat(65)]: 'z' }), {
    a: 'x',
    d: 'y'.repeat(512),
  });
  const many = Object.fromEntries(Array.from({ length: 100 }, (_none, i) => [`p${i}`, 'x']));
  t.equal(Object.keys(textParameters(many)).length, 32);
  t.end();
});
