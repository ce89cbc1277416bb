import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { WebSocketServer } from 'ws';
import { bytesOf, samplesOf } from '../../src/audio/pcm.js';
import { Bot, type BotOptions } from '../../src/simulators/Bot.js';
import type { BotCall } from '../../src/simulators/BotCall.js';
import { CallerAudio } from '../../src/simulators/CallerAudio.js';
import { heardTrack, saidTrack } from '../../src/simulators/CallResult.js';
import { JambonzCaller, type JambonzCallerOptions } from '../../src/simulators/JambonzCaller.js';

t.jobs = 6;

/** A tone whose frames all differ, so that a frame in the wrong place is found out. */
function chirp(seconds: number, rate = 8000): Int16Array {
  return Int16Array.from({ length: seconds * rate }, (_none, index) =>
    Math.round(8000 * Math.sin(index * (0.05 + index * 3e-6))),
  );
}

async function callTo(t: Test, options: BotOptions, caller: Omit<JambonzCallerOptions, 'url'>) {
  const bot = new Bot(options);
  t.teardown(() => bot.close());
  const { url } = await bot.listen(0);
  const one = new JambonzCaller({ url: `${url}/jambonz`, ...caller });
  const result = await one.call();
  const [stream] = result.streams;
  const [call] = bot.calls;
  if (stream === undefined || call === undefined) throw new Error('the call was not made');
  if (call.closed === null) await new Promise((resolve) => call.once('closed', resolve));
  return { caller: one, result, stream, call, url };
}

/** The bot closes once the provider says that everything was played. */
function endWhenPlayed(call: BotCall): void {
  call.once('mark', () => call.close());
  call.mark('end');
}

for (const sampleRate of [8000, 16_000, 24_000, 48_000]) {
  void t.test(`mono at ${sampleRate} Hz arrives sample for sample after one text frame`, async (t) => {
    const audio = new CallerAudio(chirp(0.3, sampleRate), { sampleRate });
    const { result, stream, call } = await callTo(t, {}, { audio, sampleRate, seconds: 0.3 });
    t.match(call.start, {
      sampleRate,
      mixType: 'mono',
      callSid: result.callSid,
      accountSid: result.accountSid,
    });
    t.equal(call.texts.length, 1);
    const received = samplesOf(Buffer.concat(call.frames.map(({ payload }) => payload)));
    t.same(received, chirp(0.3, sampleRate));
    t.same(saidTrack(result, stream), received);
    t.match(call.closed, { code: 1000, reason: '' });
    t.same(result.violations, []);
  });
}

void t.test('the upgrade has sub-protocol, Basic authorization and a Host without a port', async (t) => {
  const { call } = await callTo(t, {}, { username: 'u', password: 'p:w', seconds: 0.04 });
  t.equal(call.socket.protocol, 'audio.drachtio.org');
  t.equal(call.headers.authorization, `Basic ${Buffer.from('u:p:w').toString('base64')}`);
  t.equal(call.headers.host, '127.0.0.1');
  t.equal(call.headers['user-agent'], undefined);
  t.equal(call.headers['sec-websocket-extensions'], undefined);
});

void t.test('credentials that are too long are left out silently', async (t) => {
  const { call } = await callTo(t, {}, { username: 'u'.repeat(50), password: 'p'.repeat(50), seconds: 0.04 });
  t.equal(call.headers.authorization, undefined);
});

void t.test('metadata lies flat over the first frame', async (t) => {
  const { call } = await callTo(t, {}, { metadata: { tenant: 'acme', callSid: 'forged' }, seconds: 0.04 });
  t.match(call.start, { tenant: 'acme', callSid: 'forged' });
});

void t.test('streamed audio is heard behind the pre-buffer, its tail not at all', async (t) => {
  const speech = chirp(0.3);
  const onStart = (call: BotCall): void => {
    call.sendAudio(bytesOf(speech.subarray(0, 1000)));
    call.sendAudio(bytesOf(speech.subarray(1000, 2000)));
    call.sendAudio(bytesOf(speech.subarray(2000)));
    endWhenPlayed(call);
  };
  const { caller, stream, call, result } = await callTo(t, { onStart }, { seconds: 10 });
  t.equal(caller.playback.streaming.heldSamples, 400);
  t.same(
    stream.heard.flatMap(({ pcm }) => [...pcm]),
    [...speech.subarray(0, 2000)],
  );
  t.equal((stream.heard[0]?.sampleStart ?? 1) % 160, 0, 'playout begins at a tick');
  t.same(
    stream.receipts.map(({ sampleStart }) => sampleStart === null),
    [true, false, true],
  );
  t.match(call.marks, [{ name: 'end', cleared: false }]);
  t.same(result.violations, []);
});

void t.test('audio at another rate is heard at its own rate', async (t) => {
  const speech = chirp(0.2, 16_000);
  const onStart = (call: BotCall): void => {
    call.say(speech, Infinity);
    endWhenPlayed(call);
  };
  const { stream } = await callTo(
    t,
    { returnSampleRate: 16_000, onStart },
    { seconds: 10, returnSampleRate: 16_000 },
  );
  t.same(
    stream.heard.map(({ sampleRate, pcm }) => [sampleRate, pcm]),
    [[16_000, speech]],
  );
  const [piece] = stream.heard;
  t.same(
    heardTrack(stream, 16_000).subarray(piece?.sampleStart, (piece?.sampleStart ?? 0) + speech.length),
    speech,
  );
});

void t.test('an odd byte is carried to the next message', async (t) => {
  const speech = chirp(0.2);
  const bytes = bytesOf(speech);
  const onStart = (call: BotCall): void => {
    call.send(bytes.subarray(0, 1001));
    call.send(bytes.subarray(1001));
    endWhenPlayed(call);
  };
  const { stream } = await callTo(t, { onStart }, { seconds: 10 });
  t.same(
    stream.heard.flatMap(({ pcm }) => [...pcm]),
    [...speech],
  );
});

void t.test('killAudio cuts at a tick and reports the marks as cleared', async (t) => {
  // The cut lies up to one tick after the echoes, so the bot lingers for more than that.
  const onStart = (call: BotCall): void => {
    call.once('mark', () => setTimeout(() => call.close(), 60));
  };
  const bot = { say: () => chirp(5), clearAfterMs: 300, times: 1, onStart };
  const { stream, call } = await callTo(t, bot, { seconds: 10 });
  const last = stream.heard.at(-1);
  const end = (last?.sampleStart ?? 0) + (last?.pcm.length ?? 0);
  t.equal(end % 160, 0);
  t.ok(end < 40_000, 'not all of it was heard');
  t.match(call.marks, [{ name: 'utterance-1', cleared: true }]);
});

void t.test(
  'in stereo the right channel carries clips as they play, and nothing that is streamed',
  async (t) => {
    const clip = chirp(0.2);
    const audio = new CallerAudio(chirp(1), { sampleRate: 8000 });
    const { result, stream, call } = await callTo(
      t,
      { returns: 'playAudio', onStart: (call) => call.say(clip, Infinity, 'c') },
      { audio, mixType: 'stereo', returns: 'playAudio', seconds: 1 },
    );
    const [piece] = stream.heard;
    t.same(piece?.pcm, clip);
    t.same(saidTrack(result, stream, 0), chirp(1).subarray(0, 8000));
    const right = saidTrack(result, stream, 1);
    t.same(right, heardTrack(stream, 8000).subarray(0, 8000));
    t.same(samplesOf(Buffer.concat(call.frames.map(({ payload }) => payload))).length, 16_000);
    const done = call.texts.map((text) => JSON.parse(text) as { type?: string; data?: { id?: string } });
    t.match(done[1], { type: 'playDone', data: { id: 'c' } });

    const streaming = await callTo(
      t,
      { onStart: (call) => call.say(clip, Infinity) },
      { mixType: 'stereo', seconds: 1 },
    );
    t.ok(streaming.stream.heard.length > 0);
    t.ok(saidTrack(streaming.result, streaming.stream, 1).every((sample) => sample === 0));
  },
);

void t.test('mixed is the sum of both', async (t) => {
  const clip = chirp(0.1).map(() => 1000);
  const { result, stream } = await callTo(
    t,
    { returns: 'playAudio', onStart: (call) => call.say(clip) },
    {
      audio: new CallerAudio(new Int16Array(8000).fill(500), { sampleRate: 8000 }),
      mixType: 'mixed',
      returns: 'playAudio',
      seconds: 1,
    },
  );
  const at = stream.heard[0]?.sampleStart ?? 0;
  const mixed = saidTrack(result, stream);
  t.same(
    [mixed[at - 1], mixed[at], mixed[at + clip.length - 1], mixed[at + clip.length]],
    [500, 1500, 1500, 500],
  );
});

void t.test('a stall comes as one message', async (t) => {
  const { stream } = await callTo(t, {}, { seconds: 0.6, stalls: [{ atMs: 100, forMs: 300 }] });
  t.ok(Math.max(...stream.frames.map(({ payload }) => payload.length)) >= 15 * 320);
  const total = stream.frames.reduce((sum, { payload }) => sum + payload.length, 0);
  t.equal(total, 30 * 320);
});

void t.test(
  'a stall beyond the client buffer loses it whole, and the next message is 16 bytes short',
  async (t) => {
    const audio = new CallerAudio(chirp(1), { sampleRate: 8000 });
    const { result, stream } = await callTo(
      t,
      {},
      { audio, seconds: 0.8, bufferSeconds: 0.2, stalls: [{ atMs: 100, forMs: 300 }] },
    );
    const overrun = stream.frames.find(({ lostBefore }) => lostBefore > 0);
    t.equal((overrun?.payload.length ?? 0) % 320, 320 - 16);
    t.equal((overrun?.lostBefore ?? 0) % 1600, 8, 'whole buffers and the 16 bytes');
    const said = saidTrack(result, stream);
    t.same(said.subarray(overrun?.sampleStart), chirp(1).subarray(overrun?.sampleStart, 6400));
  },
);

void t.test('dropped frames leave the overrun fingerprint', async (t) => {
  const { stream, call } = await callTo(t, {}, { seconds: 0.4, drops: [{ fromMs: 100, toMs: 200 }] });
  const short = stream.frames.find(({ lostBefore }) => lostBefore > 0);
  t.match(short, { sampleStart: 1608, lostBefore: 808 });
  t.equal(
    call.frames.reduce((sum, { payload }) => sum + payload.length, 0),
    15 * 320 - 16,
  );
});

void t.test('keys come as event, not as type', async (t) => {
  const { call } = await callTo(t, {}, { seconds: 0.2, dtmf: [{ atMs: 100, digit: '7' }] });
  t.same(JSON.parse(call.texts[1] ?? ''), { event: 'dtmf', dtmf: '7', duration: '1600' });
  t.same(call.digits, ['7']);
});

void t.test('an echo makes latency measurable', async (t) => {
  const audio = new CallerAudio(chirp(1), { sampleRate: 8000 });
  const { result } = await callTo(t, { echo: true }, { audio, seconds: 0.6 });
  t.ok(result.latency.samples >= 10, `${result.latency.samples} echoes`);
});

void t.test('disconnect ends the stream from the caller', async (t) => {
  const { stream } = await callTo(t, { onStart: (call) => call.send('{"type":"disconnect"}') }, {});
  t.match(stream, { closedBy: 'caller', closeCode: 1000 });
});

void t.test('a restart opens a second socket of the same call', async (t) => {
  const { result } = await callTo(t, {}, { seconds: 0.6, restarts: [{ atMs: 200, afterMs: 100 }] });
  t.equal(result.streams.length, 2);
});

const faults: {
  what: string;
  code: string;
  returns: 'streaming' | 'playAudio' | 'none';
  send: (call: BotCall) => void;
}[] = [
  {
    what: 'binary audio without streaming',
    code: 'binary_not_streaming',
    returns: 'playAudio',
    send: (call) => call.send(Buffer.alloc(320)),
  },
  {
    what: 'playAudio while streaming',
    code: 'play_audio_streaming',
    returns: 'streaming',
    send: (call) => call.send('{"type":"playAudio","data":{"audioContentType":"raw","audioContent":"AAA="}}'),
  },
  {
    what: 'playAudio without a content type',
    code: 'play_audio_invalid',
    returns: 'playAudio',
    send: (call) => call.send('{"type":"playAudio","data":{"audioContent":"AAA="}}'),
  },
  {
    what: 'anything on a socket that only listens',
    code: 'returns_none',
    returns: 'none',
    send: (call) => call.clear(),
  },
  {
    what: 'text that is not JSON',
    code: 'text_not_json',
    returns: 'streaming',
    send: (call) => call.send('hello'),
  },
  {
    what: 'a type that does not exist',
    code: 'type_unknown',
    returns: 'streaming',
    send: (call) => call.send('{"type":"clear"}'),
  },
  {
    what: 'a mark without a name',
    code: 'mark_invalid',
    returns: 'streaming',
    send: (call) => call.send('{"type":"mark"}'),
  },
];

for (const { what, code, returns, send } of faults) {
  void t.test(`${what} is found out`, async (t) => {
    const { result, stream } = await callTo(t, { onStart: send }, { returns, seconds: 0.5 });
    t.match(result.violations, [{ code }]);
    t.equal(
      stream.frames.reduce((sum, { payload }) => sum + payload.length, 0),
      25 * 320,
      'the call goes on',
    );
  });
}

void t.test('options that cannot be are refused before anything is dialled', (t) => {
  const url = 'ws://127.0.0.1:9/jambonz';
  t.throws(() => new JambonzCaller({ url, sampleRate: 11_025 }), { code: 'sample_rate_invalid' });
  t.throws(() => new JambonzCaller({ url, audio: CallerAudio.silence(16_000) }), {
    code: 'sample_rate_invalid',
  });
  t.throws(() => new JambonzCaller({ url, jumps: [{ atMs: 0, byMs: 1 }] }), { code: 'config_invalid' });
  t.end();
});

/** A recorder that notes what comes and answers only what a test tells it to. */
async function recorder(t: Test) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  t.teardown(() => server.close());
  await once(server, 'listening');
  const kinds: ('text' | 'audio')[] = [];
  const audio: Buffer[] = [];
  const paths: (string | undefined)[] = [];
  server.on('connection', (socket, request) => {
    paths.push(request.url);
    socket.on('message', (data, isBinary) => {
      kinds.push(isBinary ? 'audio' : 'text');
      if (isBinary) audio.push(data as Buffer);
      else socket.send('thank you');
    });
  });
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/`, kinds, audio, paths };
}

void t.test('a recording fork appends its vendor, is stereo, and takes no answer', async (t) => {
  const { url, kinds, audio, paths } = await recorder(t);
  const said = new CallerAudio(chirp(0.4), { sampleRate: 8000 });
  const call = { url, recordVendor: 's3_compatible', audio: said, seconds: 0.4, startAfterMs: 90 };
  const result = await new JambonzCaller(call).call();
  t.same(paths, ['/api/v1/record/s3_compatible']);
  t.equal(kinds[0], 'audio', 'which goes ahead of the first text frame');
  t.equal(kinds.filter((kind) => kind === 'text').length, 1);
  t.equal(result.channels, 2);
  const sent = Buffer.concat((result.streams[0]?.frames ?? []).map(({ payload }) => payload));
  t.ok(Buffer.concat(audio).equals(sent));
  t.match(result.violations, [{ code: 'record_answered' }]);
});

void t.test('a recording fork whose first text frame is lost', async (t) => {
  const { url, kinds } = await recorder(t);
  const call = { url, recordVendor: 'aws_s3', seconds: 0.2, startAfterMs: Infinity };
  const result = await new JambonzCaller(call).call();
  t.same(new Set(kinds), new Set(['audio']));
  t.same(result.violations, []);
});
