import t from 'tap';
import { kernels } from '../../src/audio/kernels.js';
import { wavHeader } from '../../src/audio/wav.js';
import type { ErrorCode } from '../../src/config/ReelayError.js';
import type { UpstreamEvent } from '../../src/providers/Dialect.js';
import { jambonzDialect } from '../../src/providers/jambonz/dialect.js';
import { jambonzPlayAudio } from '../../src/providers/jambonz/messages.js';
import { readBothSides } from './EventInvariants.js';

const account = 'ba4b5e1c-5a0f-4f1c-9d0f-3e8a0d8f2f11';
const call = '4b0c5e2a-3c41-4d53-a7a3-9f0bd2c1ea01';

const fromProvider = (text: string) => jambonzDialect.readProvider(Buffer.from(text), false);
const fromBot = (text: string) => jambonzDialect.readUpstream(Buffer.from(text), false);

const start = `{"sampleRate":16000,"mixType":"stereo","callSid":"${call}","direction":"inbound","from":"+4930123","to":"+4930456","callId":"9f0b@10.0.0.1","sipStatus":200,"sipReason":"OK","callStatus":"in-progress","accountSid":"${account}","traceId":"t1","applicationSid":null,"fsSipAddress":"10.0.0.2:5060","customerData":{"a":{"b":1}},"tenant":"acme","type":"metadata","event":"dtmf"}`;

await t.test('the first frame gives ids, rate and mix, whatever the metadata is called', (t) => {
  t.strictSame(fromProvider(start), {
    kind: 'start',
    accountId: account,
    callId: call,
    streamId: null,
    sampleRate: 16_000,
    channels: 2,
    tracks: ['both'],
    from: '+4930123',
    to: '+4930456',
    direction: 'inbound',
    parameters: JSON.parse(start) as unknown,
    warnings: [],
  });
  t.end();
});

await t.test('the first frame of a nested listen, with its raw names', (t) => {
  const nested = `{"sampleRate":8000,"mixType":"mono","callSid":"${call}","parentCallSid":"p","accountSid":"${account}","localSipAddress":"10.0.0.2","publicIp":"203.0.113.1","_customerData":"say \\"hi\\"","_sipHeaders":{"x":"y"},"hasRecording":false,"callerName":"","direction":"outbound","from":"a","to":{"user":"b"}}`;
  t.match(fromProvider(nested), {
    kind: 'start',
    callId: call,
    channels: 1,
    tracks: ['caller'],
    from: 'a',
    to: null,
    direction: 'outbound',
    parameters: { hasRecording: false, publicIp: '203.0.113.1' },
    warnings: [],
  });
  t.end();
});

await t.test('rate and mix are read leniently and mended with a warning', (t) => {
  const table: [object, object][] = [
    [
      { sampleRate: '24000', mixType: 'mixed' },
      { sampleRate: 24_000, tracks: ['mixed'], warnings: [] },
    ],
    [
      { sampleRate: 48_000, mixType: 'Stereo' },
      { sampleRate: 48_000, tracks: ['both'], channels: 2 },
    ],
    [
      { sampleRate: 4000, mixType: 'mono' },
      { sampleRate: 4000, warnings: [] },
    ],
    [
      { sampleRate: 192_000, mixType: 'mono' },
      { sampleRate: 192_000, warnings: [] },
    ],
    ...[undefined, null, '', 'high', 0, -8000, 3999, 192_001, 8000.5, 1e12, [], { hz: 8000 }, true].map(
      (sampleRate): [object, object] => [
        { sampleRate, mixType: 'mono' },
        { sampleRate: 8000, warnings: ['sample_rate_invalid'] },
      ],
    ),
    ...[undefined, null, '', 'quad', 2, ['mono'], 'constructor'].map((mixType): [object, object] => [
      { sampleRate: 16_000, mixType },
      { sampleRate: 16_000, channels: 1, tracks: ['caller'], warnings: ['start_invalid'] },
    ]),
  ];
  for (const [fields, expected] of table) {
    const text = JSON.stringify({ ...fields, callSid: call, accountSid: account });
    t.match(fromProvider(text), { kind: 'start', ...expected }, text);
  }
  t.end();
});

await t.test('a first frame whose ids cannot be used is refused', (t) => {
  const table: [object, ErrorCode][] = [
    [{ callSid: '../../x', accountSid: account }, 'call_id_invalid'],
    [{ callSid: 'a\u0001', accountSid: account }, 'call_id_invalid'],
    [{ callSid: { toString: 'x' }, accountSid: account }, 'call_id_invalid'],
    [{ callSid: call, accountSid: '*' }, 'call_id_invalid'],
    [{ callSid: call, accountSid: ['x'] }, 'call_id_invalid'],
    [{ callSid: call }, 'start_invalid'],
    [{ accountSid: account }, 'start_invalid'],
    [{}, 'start_invalid'],
  ];
  for (const [ids, code] of table) {
    const text = JSON.stringify({ sampleRate: 8000, mixType: 'mono', ...ids });
    t.match(fromProvider(text), { kind: 'invalid', code, drop: true }, text);
  }
  t.end();
});

await t.test('a first frame with something in front of it is found', (t) => {
  t.match(fromProvider(`audio_fork ${start}`), { kind: 'start', callId: call, warnings: [] });
  t.match(fromProvider(`\ufeff${start}`), { kind: 'start', callId: call, warnings: [] });
  t.end();
});

await t.test('a first frame that was cut at 8192 bytes still says whose call it is', (t) => {
  const long = `{"sampleRate":16000,"mixType":"stereo","callSid":"${call}","accountSid":"${account}","from":"+1","to":"+2","direction":"inbound","customerData":{"callSid":"evil","text":"${'x'.repeat(9000)}"}}`;
  const event = fromProvider(long.slice(0, 8192));
  t.match(event, {
    kind: 'start',
    callId: call,
    accountId: account,
    sampleRate: 16_000,
    channels: 2,
    tracks: ['both'],
    from: '+1',
    to: '+2',
    direction: 'inbound',
    warnings: ['start_invalid'],
  });
  t.notMatch(JSON.stringify(event), 'xxx', 'text that nobody could read may hold secrets and is not kept');
  t.end();
});

await t.test('a first frame with unescaped quotes and line breaks still says whose call it is', (t) => {
  const broken = `{"sampleRate":"8000","mixType":"mono","callSid":"${call}","accountSid":"${account}","note":"he said "hi"\nand left"}`;
  t.match(fromProvider(broken), {
    kind: 'start',
    callId: call,
    accountId: account,
    sampleRate: 8000,
    warnings: ['start_invalid'],
  });
  const quoted = `{"headers":{"X":"\\"callSid\\":\\"evil\\""},"callSid":"${call}","accountSid":"${account}",`;
  t.match(fromProvider(quoted), { kind: 'start', callId: call }, 'an escaped quote is no name');
  t.end();
});

await t.test('a first frame cut anywhere never gives an id that is not its own', (t) => {
  for (let i = 0; i < start.length; i++) {
    const event = fromProvider(start.slice(0, i));
    readBothSides(jambonzDialect, Buffer.from(start.slice(0, i)), false);
    if (event.kind === 'start') t.match(event, { callId: call, accountId: account });
    else t.equal(event.kind, 'invalid');
  }
  t.end();
});

await t.test('metadata that could break whoever writes it as JSON is left out', (t) => {
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
  const event = fromProvider(
    `{"sampleRate":8000,"mixType":"mono","callSid":"${call}","accountSid":"${account}","deep":${deep},"ok":1}`,
  );
  t.match(event, { kind: 'start', parameters: { ok: 1 }, warnings: ['start_invalid'] });
  t.ok(event.kind === 'start' && !('deep' in event.parameters));
  t.end();
});

await t.test('binary frames are audio, whole or with half a sample', (t) => {
  const read = (bytes: number[]) => jambonzDialect.readProvider(Buffer.from(bytes), true);
  t.strictSame(read([1, 2, 3, 4]), {
    kind: 'audio',
    track: 'caller',
    payload: Buffer.from([1, 2, 3, 4]),
    timestampMs: NaN,
    streamId: null,
    warnings: [],
  });
  t.match(read([1, 2, 3]), { kind: 'audio', payload: Buffer.from([1, 2, 3]), warnings: ['payload_odd'] });
  t.match(read([1]), { kind: 'audio', warnings: ['payload_odd'] });
  t.strictSame(read([]), { kind: 'finish' });
  const text = Buffer.from('{"event":"dtmf","dtmf":"1"} ');
  t.match(jambonzDialect.readProvider(text, true), { kind: 'audio' }, 'JSON in a binary frame is audio');
  t.end();
});

await t.test('later text frames', (t) => {
  const table: [string, object][] = [
    [
      '{"event":"dtmf","dtmf":"5","duration":"1600"}',
      { kind: 'dtmf', digit: '5', durationMs: 200, streamId: null },
    ],
    [
      '{"event":"dtmf","dtmf":"*","duration":2000}',
      { kind: 'dtmf', digit: '*', durationMs: 250, streamId: null },
    ],
    ['{"event":"dtmf","dtmf":"A"}', { kind: 'dtmf', digit: 'A', durationMs: null, streamId: null }],
    [
      '{"event":"dtmf","dtmf":"1","duration":"-8"}',
      { kind: 'dtmf', digit: '1', durationMs: null, streamId: null },
    ],
    [
      '{"type":"playDone","data":{"id":"c1","playbackSeconds":"2","playbackMilliseconds":"500","playbackLastOffsetPos":"20000"}}',
      { kind: 'clipDone', id: 'c1', playedMs: 2500 },
    ],
    [
      '{"type":"playDone","data":{"id":7,"playbackSeconds":"2","playbackMilliseconds":"2500"}}',
      { kind: 'clipDone', id: '7', playedMs: 2500 },
    ],
    ['{"type":"playDone","data":{"playbackSeconds":"3"}}', { kind: 'clipDone', id: null, playedMs: 3000 }],
    [
      '{"type":"playDone","data":{"playbackMilliseconds":"320"}}',
      { kind: 'clipDone', id: null, playedMs: 320 },
    ],
    ['{"type":"playDone","data":{"playbackSeconds":"soon"}}', { kind: 'clipDone', id: null, playedMs: null }],
    ['{"type":"playDone"}', { kind: 'clipDone', id: null, playedMs: null }],
    [
      '{"type":"mark","data":{"name":"m 1","event":"playout"}}',
      { kind: 'mark', name: 'm 1', streamId: null, cleared: false },
    ],
    [
      '{"type":"mark","data":{"name":"m","event":"cleared"}}',
      { kind: 'mark', name: 'm', streamId: null, cleared: true },
    ],
    ['{"type":"session:summary","data":{"call_start":"x"}}', { kind: 'unknown', name: 'session:summary' }],
    ['{"foo":1}', { kind: 'unknown', name: '' }],
    ['{"event":"other"}', { kind: 'unknown', name: 'other' }],
    ['{"type":7}', { kind: 'unknown', name: '' }],
  ];
  for (const [text, event] of table) t.strictSame(fromProvider(text), event, text);
  for (const dtmf of [undefined, '', '11', 'x', 5, null]) {
    const text = JSON.stringify({ event: 'dtmf', dtmf, duration: '1600' });
    const event = fromProvider(text);
    t.strictSame(event, { kind: 'invalid', code: 'dtmf_invalid', drop: false }, `${text}, not shown`);
  }
  t.match(fromProvider('{"type":"mark"}'), { code: 'mark_invalid', drop: false });
  t.end();
});

await t.test('what a bot says to reelay itself', (t) => {
  const record = (data: object): UpstreamEvent => fromBot(JSON.stringify({ type: 'reelay.record', data }));
  const table: [object, object][] = [
    [{ action: 'pause' }, { deed: 'pause', mode: 'silence' }],
    [
      { action: 'pause', mode: 'skip' },
      { deed: 'pause', mode: 'skip' },
    ],
    [{ action: 'resume' }, { deed: 'resume' }],
    [{ action: 'stop' }, { deed: 'stop' }],
    [{ action: 'start' }, { deed: 'start' }],
  ];
  for (const [data, request] of table)
    t.strictSame(record(data), { kind: 'recording', request, streamId: null }, JSON.stringify(data));
  for (const data of [
    {},
    { action: 'erase' },
    { action: 'start', mode: 'skip' },
    { action: 'stop', callSid: call },
  ])
    t.match(record(data), { kind: 'invalid', code: 'request_invalid', drop: true }, JSON.stringify(data));
  t.match(fromBot('{"type":"reelay.record"}'), { kind: 'invalid', code: 'request_invalid', drop: true });
  t.match(fromProvider('{"type":"reelay.record","data":{"action":"stop"}}'), { kind: 'unknown' });
  t.end();
});

await t.test('of a text that can’t be read the log shows the beginning, unless it is of keys', (t) => {
  t.strictSame(fromProvider('hello'), {
    kind: 'invalid',
    code: 'frame_not_json',
    value: 'hello',
    drop: true,
  });
  t.strictSame(fromProvider('{"event":"dtmf","dtmf":"5",'), {
    kind: 'invalid',
    code: 'frame_not_json',
    drop: true,
  });
  t.end();
});

await t.test('text that is no message of this protocol is kept from the other side', (t) => {
  const table: [string, ErrorCode][] = [
    ['', 'frame_not_json'],
    ['hello', 'frame_not_json'],
    ['{', 'frame_not_json'],
    ['x{', 'frame_not_json'],
    ['{"sampleRate":8000,', 'frame_not_json'],
    ['{"callSid":"', 'frame_not_json'],
    ['null', 'frame_not_object'],
    ['8000', 'frame_not_object'],
    ['[{"callSid":"x"}]', 'frame_not_object'],
  ];
  for (const [text, code] of table) {
    t.match(fromProvider(text), { kind: 'invalid', code, drop: true }, text);
    t.match(fromBot(text), { kind: 'invalid', code, drop: true }, text);
  }
  t.end();
});

await t.test('commands of the bot', (t) => {
  const table: [string, object][] = [
    ['{"type":"killAudio"}', { kind: 'clear', streamId: null }],
    ['{"type":"mark","data":{"name":"m-1 !"}}', { kind: 'mark', name: 'm-1 !', streamId: null }],
    ['{"type":"clearMarks"}', { kind: 'clearMarks' }],
    ['{"type":"disconnect"}', { kind: 'disconnect' }],
    ['{"type":"transcription","data":{}}', { kind: 'unknown', name: 'transcription' }],
    ['{"type":"error"}', { kind: 'unknown', name: 'error' }],
    ['{"a":1}', { kind: 'unknown', name: '' }],
  ];
  for (const [text, event] of table) t.strictSame(fromBot(text), event, text);
  for (const name of [undefined, null, '', 7, 'a"b', 'a\\b', 'a\nb', 'ü', '\u007f', 'n'.repeat(1025)]) {
    const text = JSON.stringify({ type: 'mark', data: { name } });
    t.match(fromBot(text), { kind: 'invalid', code: 'mark_invalid', drop: true }, text.slice(0, 60));
  }
  const read = (bytes: number[]) => jambonzDialect.readUpstream(Buffer.from(bytes), true);
  t.strictSame(read([1, 2]), { kind: 'audio', payload: Buffer.from([1, 2]), streamId: null, warnings: [] });
  t.match(read([1, 2, 3]), { kind: 'audio', warnings: ['payload_odd'] });
  t.match(read([]), { kind: 'invalid', code: 'payload_empty', drop: true });
  t.match(jambonzDialect.readUpstream(Buffer.from('RIFF\0\0\0\0WAVE'), true), {
    warnings: ['payload_has_header'],
  });
  t.end();
});

const pcm = Buffer.from(Int16Array.of(1, -2, 300, -32_768, 32_767, 0).buffer);
const play = (data: object) => fromBot(JSON.stringify({ type: 'playAudio', data }));

await t.test('a raw clip has the rate at which the client plays it', (t) => {
  const clip = { audioContentType: 'raw', audioContent: pcm.toString('base64') };
  t.strictSame(play({ ...clip, sampleRate: 8000, id: 'c1', queuePlay: true }), {
    kind: 'clip',
    id: 'c1',
    queued: true,
    sampleRate: 8000,
    payload: pcm,
    warnings: [],
  });
  for (const sampleRate of [undefined, '8000', 11_025, 44_100, 0, -1, 1e99]) {
    t.match(play({ ...clip, sampleRate }), {
      kind: 'clip',
      id: null,
      queued: false,
      sampleRate: 16_000,
      warnings: ['sample_rate_invalid'],
    });
  }
  const odd = { ...clip, sampleRate: 8000, audioContent: pcm.subarray(0, 5).toString('base64') };
  t.match(play(odd), { kind: 'clip', payload: pcm.subarray(0, 4), warnings: ['payload_odd'] });
  t.end();
});

await t.test('a WAV clip is read whatever it claims about itself', (t) => {
  const wav = (header: Uint8Array, data: Uint8Array) =>
    play({ audioContentType: 'wav', audioContent: Buffer.concat([header, data]).toString('base64') });
  const mono = wavHeader({ sampleRate: 22_050, channels: 1, samples: 6 });
  t.match(wav(mono, pcm), { kind: 'clip', sampleRate: 22_050, payload: pcm, warnings: [] });
  for (const samples of [0, 1_000_000]) {
    const unseekable = wavHeader({ sampleRate: 8000, channels: 1, samples });
    t.match(wav(unseekable, pcm), { kind: 'clip', payload: pcm }, `a header that claims ${samples} samples`);
  }
  const stereo = wavHeader({ sampleRate: 8000, channels: 2, samples: 3 });
  const mean = new Uint8Array(Int16Array.of(-1, -16_234, 16_383).buffer);
  t.match(wav(stereo, pcm), { kind: 'clip', payload: mean }, 'stereo is played as its mean');
  const mulaw = Buffer.from(wavHeader({ sampleRate: 8000, channels: 1, samples: 3 }));
  mulaw.writeUInt16LE(7, 20);
  mulaw.writeUInt16LE(8, 34);
  const bytes = Uint8Array.of(0xff, 0x00, 0x80, 0x12, 0x34, 0x56);
  const samples = new Int16Array(6);
  kernels.decodeMulaw(bytes, samples);
  t.match(wav(mulaw, bytes), { kind: 'clip', payload: new Uint8Array(samples.buffer) }, 'mu-law');
  t.end();
});

await t.test('a clip that would crash the client, or holds nothing, is kept from it', (t) => {
  const audioContent = pcm.toString('base64');
  const table: [object, ErrorCode][] = [
    [{ audioContent, sampleRate: 8000 }, 'clip_invalid'],
    [{ audioContent, audioContentType: null }, 'clip_invalid'],
    [{ audioContent, audioContentType: 'mp3' }, 'clip_invalid'],
    [{ audioContentType: 'raw', sampleRate: 8000 }, 'payload_not_base64'],
    [{ audioContentType: 'raw', audioContent: '' }, 'payload_empty'],
    [{ audioContentType: 'raw', audioContent: '!!!' }, 'payload_not_base64'],
    [{ audioContentType: 'raw', audioContent: 'AA==' }, 'payload_empty'],
  ];
  for (const [data, code] of table) {
    t.match(play(data), { kind: 'invalid', code, drop: true }, JSON.stringify(data));
  }
  t.match(fromBot('{"type":"playAudio"}'), { code: 'clip_invalid', drop: true });
  t.end();
});

await t.test('a WAV that cannot be read is left to the client', (t) => {
  const bits24 = Buffer.concat([wavHeader({ sampleRate: 8000, channels: 1, samples: 6 }), pcm]);
  bits24.writeUInt16LE(24, 34);
  const surround = Buffer.concat([wavHeader({ sampleRate: 8000, channels: 6, samples: 1 }), pcm]);
  const silly = Buffer.concat([wavHeader({ sampleRate: 1, channels: 1, samples: 6 }), pcm]);
  const empty = wavHeader({ sampleRate: 8000, channels: 1, samples: 0 });
  t.match(fromBot(jambonzPlayAudio({ audioContentType: 'wav', audioContent: empty })), {
    code: 'payload_empty',
    drop: true,
  });
  const table: [Uint8Array, ErrorCode][] = [
    [Buffer.from('not a wav at all'), 'wav_invalid'],
    [bits24.subarray(0, 30), 'wav_invalid'],
    [bits24, 'clip_unreadable'],
    [surround, 'clip_unreadable'],
    [silly, 'clip_unreadable'],
  ];
  for (const [audioContent, code] of table) {
    const event = fromBot(jambonzPlayAudio({ audioContentType: 'wav', audioContent }));
    t.match(event, { kind: 'invalid', code, drop: false });
  }
  t.end();
});

await t.test('sub-protocols of all known clients are taken', (t) => {
  t.strictSame([...jambonzDialect.capabilities.subprotocols].sort(), [
    'audio.drachtio.org',
    'audio.jambonz.org',
    'audiostream.drachtio.org',
  ]);
  t.end();
});
