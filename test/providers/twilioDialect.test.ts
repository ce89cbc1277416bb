import t from 'tap';
import { twilioDialect } from '../../src/providers/twilio/dialect.js';
import type { ErrorCode } from '../../src/config/ReelayError.js';
import type { UpstreamEvent } from '../../src/providers/Dialect.js';
import { readBothSides } from './EventInvariants.js';

const account = 'AC0123456789abcdef0123456789abcdef';
const call = 'CA0123456789abcdef0123456789abcdef';
const stream = 'MZ0123456789abcdef0123456789abcdef';

const fromProvider = (text: string) => twilioDialect.readProvider(Buffer.from(text), false);
const fromBot = (text: string) => twilioDialect.readUpstream(Buffer.from(text), false);

const start = `{"event":"start","sequenceNumber":"1","start":{"accountSid":"${account}","streamSid":"${stream}","callSid":"${call}","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"FirstName":"Jane","tenant":"acme"}},"streamSid":"${stream}"}`;
const media = `{"event":"media","sequenceNumber":"3","media":{"track":"outbound","chunk":"1","timestamp":"5","payload":"//7+f38="},"streamSid":"${stream}"}`;

await t.test('a start message gives ids, tracks and parameters', (t) => {
  t.strictSame(fromProvider(start), {
    kind: 'start',
    accountId: account,
    callId: call,
    streamId: stream,
    sampleRate: 8000,
    channels: 1,
    tracks: ['caller'],
    from: null,
    to: null,
    direction: null,
    parameters: { FirstName: 'Jane', tenant: 'acme' },
    warnings: [],
  });
  t.end();
});

await t.test('who calls whom is what the custom parameters say', (t) => {
  const withParameters = (customParameters: object) =>
    fromProvider(
      JSON.stringify({
        event: 'start',
        start: {
          accountSid: account,
          streamSid: stream,
          callSid: call,
          tracks: ['inbound'],
          customParameters,
        },
      }),
    );
  const told = { from: '+15550100', to: 'sip:a@b', direction: 'inbound' };
  t.match(withParameters(told), { ...told, parameters: told });
  const asInWebhooks = { From: '+15550100', To: 'sip:a@b', Direction: 'inbound' };
  t.match(withParameters(asInWebhooks), { ...told, parameters: asInWebhooks });
  t.match(withParameters({ from: '', From: '+1', to: 7, direction: ['inbound'] }), {
    from: '+1',
    to: null,
    direction: null,
  });
  t.end();
});

await t.test('a start message may be written otherwise', (t) => {
  const ids = { accountSid: account, callSid: call, streamSid: stream };
  const format = { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 };
  const table: { title: string; start: object; tracks: string[]; warnings: ErrorCode[] }[] = [
    { title: 'no customParameters', start: { mediaFormat: format }, tracks: ['caller'], warnings: [] },
    {
      title: 'media format in strings',
      start: { mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: '8000', channels: '1' } },
      tracks: ['caller'],
      warnings: [],
    },
    {
      title: 'both tracks of a one-way stream',
      start: { mediaFormat: format, tracks: ['inbound', 'outbound'] },
      tracks: ['caller', 'bot'],
      warnings: [],
    },
    {
      title: 'tracks in the long form, one twice',
      start: { mediaFormat: format, tracks: ['outbound_track', 'outbound'] },
      tracks: ['bot'],
      warnings: [],
    },
    {
      title: 'no media format',
      start: {},
      tracks: ['caller'],
      warnings: ['sample_rate_invalid'],
    },
    {
      title: 'an absurd sample rate',
      start: { mediaFormat: { ...format, sampleRate: 1e9 } },
      tracks: ['caller'],
      warnings: ['sample_rate_invalid'],
    },
    {
      title: 'another encoding',
      start: { mediaFormat: { ...format, encoding: 'audio/x-L16' } },
      tracks: ['caller'],
      warnings: ['start_invalid'],
    },
    {
      title: 'tracks that nobody knows',
      start: { mediaFormat: format, tracks: ['sideways', 7, null] },
      tracks: ['caller'],
      warnings: ['start_invalid'],
    },
    {
      title: 'customParameters that are a list',
      start: { mediaFormat: format, customParameters: ['a'] },
      tracks: ['caller'],
      warnings: ['start_invalid'],
    },
  ];
  for (const { title, start, tracks, warnings } of table) {
    const event = fromProvider(JSON.stringify({ event: 'start', start: { ...ids, ...start } }));
    t.match(event, { kind: 'start', streamId: stream, tracks, warnings }, title);
  }
  t.end();
});

await t.test('a start message whose ids cannot be used is refused', (t) => {
  const ids = { accountSid: account, callSid: call, streamSid: stream };
  const table: [object, ErrorCode][] = [
    [{ ...ids, callSid: '../../etc/passwd' }, 'call_id_invalid'],
    [{ ...ids, callSid: 'CA..' }, 'call_id_invalid'],
    [{ ...ids, callSid: 'CA\u0000' }, 'call_id_invalid'],
    [{ ...ids, callSid: 'CA\n1' }, 'call_id_invalid'],
    [{ ...ids, callSid: 'a/b' }, 'call_id_invalid'],
    [{ ...ids, callSid: 'C'.repeat(129) }, 'call_id_invalid'],
    [{ ...ids, callSid: 7 }, 'call_id_invalid'],
    [{ ...ids, accountSid: '.reelay' }, 'call_id_invalid'],
    [{ ...ids, accountSid: '*' }, 'call_id_invalid'],
    [{ ...ids, streamSid: 'MZ\u007f' }, 'call_id_invalid'],
    [{ accountSid: account, streamSid: stream }, 'start_invalid'],
    [{ callSid: call, streamSid: stream }, 'start_invalid'],
    [{ accountSid: account, callSid: call }, 'start_invalid'],
    [{ ...ids, callSid: '' }, 'start_invalid'],
  ];
  for (const [start, code] of table) {
    const event = fromProvider(JSON.stringify({ event: 'start', start }));
    t.match(event, { kind: 'invalid', code, drop: true }, JSON.stringify(start));
  }
  t.match(fromProvider('{"event":"start"}'), { code: 'start_invalid', drop: true });
  const twoStreams = JSON.stringify({ event: 'start', streamSid: 'MZother', start: ids });
  t.match(fromProvider(twoStreams), { code: 'stream_mismatch', drop: true });
  t.end();
});

await t.test('parameters that could break whoever writes them as JSON are left out', (t) => {
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  const text = `{"event":"start","start":{"accountSid":"${account}","callSid":"${call}","streamSid":"${stream}","customParameters":{"deep":${deep},"good":"1","big":"${'x'.repeat(40_000)}","__proto__":"p"}}}`;
  const event = fromProvider(text);
  if (event.kind !== 'start') throw new Error(event.kind);
  t.strictSame(Object.entries(event.parameters), [
    ['good', '1'],
    ['__proto__', 'p'],
  ]);
  t.ok(event.warnings.includes('start_invalid'));
  t.doesNotThrow(() => JSON.stringify(event));
  t.end();
});

await t.test('media gives the decoded payload and its time', (t) => {
  t.strictSame(fromProvider(media), {
    kind: 'audio',
    track: 'bot',
    payload: Buffer.from([0xff, 0xfe, 0xfe, 0x7f, 0x7f]),
    timestampMs: 5,
    streamId: stream,
    warnings: [],
  });
  t.match(
    fromProvider('{"event":"media","media":{"timestamp":20,"payload":"/w"}}'),
    { kind: 'audio', track: 'caller', timestampMs: 20, streamId: null },
    'numbers, no track, no stream id and no padding do as well',
  );
  t.end();
});

const badPayloads: [unknown, ErrorCode][] = [
  ['', 'payload_empty'],
  [undefined, 'payload_not_base64'],
  [null, 'payload_not_base64'],
  [42, 'payload_not_base64'],
  [['//8='], 'payload_not_base64'],
  ['!!!!', 'payload_not_base64'],
  ['=', 'payload_not_base64'],
  ['====', 'payload_not_base64'],
  ['A', 'payload_not_base64'],
  ['AAAAA', 'payload_not_base64'],
  ['AA=', 'payload_not_base64'],
  ['AA==AA==', 'payload_not_base64'],
  ['AAAA\n', 'payload_not_base64'],
  ['AA AA', 'payload_not_base64'],
  ['__-_', 'payload_not_base64'],
  ['ÿÿÿÿ', 'payload_not_base64'],
  [`${'AAAA'.repeat(500)}*AAA`, 'payload_not_base64'],
];

await t.test('a payload that is no audio is named, and passed on only where a provider sent it', (t) => {
  for (const [payload, code] of badPayloads) {
    const text = JSON.stringify({ event: 'media', streamSid: stream, media: { timestamp: '0', payload } });
    t.match(fromProvider(text), { kind: 'invalid', code, drop: false }, text.slice(0, 120));
    t.match(fromBot(text), { kind: 'invalid', code, drop: true }, text.slice(0, 120));
  }
  t.match(fromProvider('{"event":"media"}'), { code: 'payload_not_base64' });
  t.match(fromProvider('{"event":"media","media":"x"}'), { code: 'payload_not_base64' });
  t.end();
});

await t.test('a WAV header in a payload is a warning, the audio is used', (t) => {
  const payload = Buffer.concat([Buffer.from('RIFF\x24\x00\x00\x00WAVEfmt '), Buffer.alloc(28)]);
  const text = JSON.stringify({
    event: 'media',
    media: { timestamp: '0', payload: payload.toString('base64') },
  });
  t.match(fromProvider(text), { kind: 'audio', warnings: ['payload_has_header'], payload });
  t.match(fromBot(text), { kind: 'audio', warnings: ['payload_has_header'], payload });
  t.end();
});

await t.test('a payload of 10 MB is decoded whole', (t) => {
  const payload = Buffer.alloc(10_000_000, 0x5a);
  const text = JSON.stringify({ event: 'media', media: { payload: payload.toString('base64') } });
  const event = fromBot(text);
  t.ok(event.kind === 'audio' && payload.equals(event.payload));
  t.end();
});

await t.test('a timestamp is a number of ms, in digits or not', (t) => {
  const timestamped = (timestamp: unknown) =>
    fromProvider(JSON.stringify({ event: 'media', media: { timestamp, payload: '//8=' } }));
  for (const [timestamp, ms] of [
    ['0', 0],
    [0, 0],
    ['86400001', 86_400_001],
    [12.5, 12.5],
  ] as const) {
    t.match(timestamped(timestamp), { kind: 'audio', timestampMs: ms });
  }
  for (const timestamp of [
    undefined,
    null,
    '',
    'soon',
    '0x10',
    '1e3',
    '-1',
    -20,
    [],
    {},
    true,
    '9'.repeat(400),
  ]) {
    t.match(timestamped(timestamp), { kind: 'invalid', code: 'timestamp_invalid', drop: false });
  }
  t.end();
});

await t.test('other messages of the provider', (t) => {
  const table: [string, object][] = [
    ['{"event":"connected","protocol":"Call","version":"1.0.0"}', { kind: 'connected' }],
    [
      `{"event":"dtmf","streamSid":"${stream}","sequenceNumber":"5","dtmf":{"digit":"#","track":"inbound_track"}}`,
      { kind: 'dtmf', digit: '#', durationMs: null, streamId: stream },
    ],
    [
      '{"event":"dtmf","dtmf":{"digit":"1","duration":250}}',
      { kind: 'dtmf', digit: '1', durationMs: 250, streamId: null },
    ],
    [
      `{"event":"mark","sequenceNumber":"4","streamSid":"${stream}","mark":{"name":"my label"}}`,
      { kind: 'mark', name: 'my label', streamId: stream, cleared: false },
    ],
    [
      `{"event":"stop","sequenceNumber":"5","stop":{"accountSid":"${account}","callSid":"${call}"},"streamSid":"${stream}"}`,
      { kind: 'stop', streamId: stream },
    ],
    ['{"event":"stop"}', { kind: 'stop', streamId: null }],
    ['{"event":"error","payload":{}}', { kind: 'unknown', name: 'error' }],
    ['{"event":"toString"}', { kind: 'unknown', name: 'toString' }],
  ];
  for (const [text, event] of table) t.strictSame(fromProvider(text), event, text);
  for (const digit of ['', '12', 'E', 'a', ' ', 5, null, undefined, ['1']]) {
    const text = JSON.stringify({ event: 'dtmf', dtmf: { digit } });
    const event = fromProvider(text);
    t.strictSame(event, { kind: 'invalid', code: 'dtmf_invalid', drop: false }, `${text}, not shown`);
  }
  for (const mark of [undefined, null, 'x', {}, { name: '' }, { name: 7 }, { name: 'n'.repeat(1025) }]) {
    const text = JSON.stringify({ event: 'mark', mark });
    t.match(fromProvider(text), { kind: 'invalid', code: 'mark_invalid', drop: false }, text.slice(0, 80));
  }
  t.end();
});

await t.test('messages of the bot', (t) => {
  const table: [string, object][] = [
    [
      `{"event":"media","streamSid":"${stream}","media":{"payload":"//8="}}`,
      { kind: 'audio', payload: Buffer.from([255, 255]), streamId: stream, warnings: [] },
    ],
    [
      `{"event":"mark","streamSid":"${stream}","mark":{"name":"Ünïcode \\"quoted\\""}}`,
      { kind: 'mark', name: 'Ünïcode "quoted"', streamId: stream },
    ],
    [`{"event":"clear","streamSid":"${stream}"}`, { kind: 'clear', streamId: stream }],
    ['{"event":"clear","streamSid":7}', { kind: 'clear', streamId: null }],
    ['{"event":"dtmf","digits":"1"}', { kind: 'unknown', name: 'dtmf' }],
    ['{"event":"start","start":{}}', { kind: 'unknown', name: 'start' }],
    ['{"event":"mark"}', { kind: 'invalid', code: 'mark_invalid', value: 'null', drop: true }],
  ];
  for (const [text, event] of table) t.strictSame(fromBot(text), event, text);
  t.match(fromBot(JSON.stringify({ event: 'mark', mark: { name: 'n'.repeat(1025) } })), {
    code: 'mark_invalid',
    drop: false,
  });
  t.end();
});

await t.test('what a bot says to reelay itself', (t) => {
  const record = (fields: object): UpstreamEvent =>
    fromBot(JSON.stringify({ event: 'reelay.record', ...fields }));
  const table: [object, object, string | null][] = [
    [{ action: 'pause' }, { deed: 'pause', mode: 'silence' }, null],
    [{ action: 'pause', mode: 'silence', streamSid: stream }, { deed: 'pause', mode: 'silence' }, stream],
    [{ action: 'pause', mode: 'skip' }, { deed: 'pause', mode: 'skip' }, null],
    [{ action: 'resume', streamSid: stream }, { deed: 'resume' }, stream],
    [{ action: 'stop' }, { deed: 'stop' }, null],
    [{ action: 'start' }, { deed: 'start' }, null],
  ];
  for (const [fields, request, streamId] of table)
    t.strictSame(record(fields), { kind: 'recording', request, streamId }, JSON.stringify(fields));
  const wrong: [object, string][] = [
    [{}, 'null'],
    [{ action: 'erase' }, 'erase'],
    [{ action: ['stop'] }, 'fields 0'],
    [{ action: 'pause', mode: 'loud' }, 'loud'],
    [{ action: 'pause', mode: null }, 'null'],
    [{ action: 'resume', mode: 'skip' }, 'skip'],
    [{ action: 'stop', recordingId: 'another' }, 'recordingId'],
  ];
  for (const [fields, value] of wrong)
    t.strictSame(
      record(fields),
      { kind: 'invalid', code: 'request_invalid', value, drop: true },
      JSON.stringify(fields),
    );
  t.match(
    fromProvider('{"event":"reelay.record","action":"stop"}'),
    { kind: 'unknown' },
    'bots alone say it',
  );
  t.end();
});

await t.test('of a text that can’t be read the log shows the beginning, unless it is of keys', (t) => {
  t.strictSame(fromProvider('hello'), {
    kind: 'invalid',
    code: 'frame_not_json',
    value: 'hello',
    drop: true,
  });
  t.strictSame(fromProvider('{"event":"dtmf","dtmf":{"digit":"5"'), {
    kind: 'invalid',
    code: 'frame_not_json',
    drop: true,
  });
  t.end();
});

await t.test('what is no message of this protocol is kept from the other side', (t) => {
  const table: [string, ErrorCode][] = [
    ['', 'frame_not_json'],
    ['hello', 'frame_not_json'],
    ['{"event":"media"', 'frame_not_json'],
    ['{"event":"clear"}{"event":"clear"}', 'frame_not_json'],
    ["{'event':'clear'}", 'frame_not_json'],
    ['\ufeff{"event":"clear"}', 'frame_not_json'],
    ['null', 'frame_not_object'],
    ['7', 'frame_not_object'],
    ['"media"', 'frame_not_object'],
    ['[{"event":"media"}]', 'frame_not_object'],
    ['{}', 'frame_not_object'],
    ['{"event":null}', 'frame_not_object'],
    ['{"event":["media"]}', 'frame_not_object'],
    ['{"kind":"invalid","code":"path_unknown","drop":false}', 'frame_not_object'],
  ];
  for (const [text, code] of table) {
    t.match(fromProvider(text), { kind: 'invalid', code, drop: true }, text);
    t.match(fromBot(text), { kind: 'invalid', code, drop: true }, text);
  }
  const binary = Buffer.from(media);
  t.match(twilioDialect.readProvider(binary, true), { code: 'frame_binary', drop: true });
  t.match(twilioDialect.readUpstream(binary, true), { code: 'frame_binary', drop: true });
  t.end();
});

await t.test('a message cut or garbled at any byte never throws and never makes a false event', (t) => {
  for (const text of [start, media]) {
    const whole = Buffer.from(text);
    for (let i = 0; i < whole.length; i++) {
      const cut = whole.subarray(0, i);
      readBothSides(twilioDialect, cut, false);
      t.equal(twilioDialect.readProvider(cut, false).kind, 'invalid');
      const garbled = Buffer.from(whole);
      garbled[i] = (garbled[i] ?? 0) ^ 0x15;
      readBothSides(twilioDialect, garbled, false);
    }
  }
  t.end();
});

await t.test('nesting as deep as a message allows does not overflow the stack', (t) => {
  const deep = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
  for (const event of ['media', 'mark', 'dtmf', 'start', 'stop', 'clear']) {
    readBothSides(twilioDialect, Buffer.from(`{"event":"${event}","${event}":${deep}}`), false);
  }
  readBothSides(twilioDialect, Buffer.from(deep), false);
  t.pass('no error');
  t.end();
});
