import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { kernels } from '../../src/audio/kernels.js';
import { readWavHeader } from '../../src/audio/wav.js';
import { twilioMedia } from '../../src/providers/twilio/messages.js';
import { Bot, type BotOptions } from '../../src/simulators/Bot.js';
import type { BotCall } from '../../src/simulators/BotCall.js';
import { CallerAudio } from '../../src/simulators/CallerAudio.js';
import { heardTrack, saidTrack } from '../../src/simulators/CallResult.js';
import { TwilioCaller, type TwilioCallerOptions } from '../../src/simulators/TwilioCaller.js';

t.jobs = 6;

/** A tone whose frames all differ, so that a frame in the wrong place is found out. */
function chirp(seconds: number): Int16Array {
  return Int16Array.from({ length: seconds * 8000 }, (_none, index) =>
    Math.round(8000 * Math.sin(index * (0.05 + index * 3e-6))),
  );
}

/** Samples as they are after mu-law. */
function companded(pcm: Int16Array): Int16Array {
  const bytes = new Uint8Array(pcm.length);
  const decoded = new Int16Array(pcm.length);
  kernels.encodeMulaw(pcm, bytes);
  kernels.decodeMulaw(bytes, decoded);
  return decoded;
}

async function botFor(t: Test, options: BotOptions = {}): Promise<{ bot: Bot; url: string }> {
  const bot = new Bot(options);
  t.teardown(() => bot.close());
  const { url } = await bot.listen(0);
  return { bot, url: `${url}/twilio` };
}

async function callTo(t: Test, bot: BotOptions, caller: Omit<TwilioCallerOptions, 'url'>) {
  const { bot: server, url } = await botFor(t, bot);
  const one = new TwilioCaller({ url, ...caller });
  const result = await one.call();
  const [stream] = result.streams;
  const [call] = server.calls;
  if (stream === undefined || call === undefined) throw new Error('the call was not made');
  if (call.closed === null) await new Promise((resolve) => call.once('closed', resolve));
  return { caller: one, result, stream, call, bot: server };
}

void t.test(
  'a call arrives whole: connected, start, media with string counters, stop, close 1000',
  async (t) => {
    const audio = new CallerAudio(chirp(0.5), { sampleRate: 8000 });
    const { result, stream, call } = await callTo(
      t,
      {},
      { audio, seconds: 0.5, customParameters: { a: 'b' } },
    );
    t.equal(result.framesSent, 25);
    t.same(
      call.frames.map(({ timestampMs }) => timestampMs),
      stream.frames.map(({ timestampMs }) => timestampMs),
    );
    t.same(
      Buffer.concat(call.frames.map(({ payload }) => payload)),
      Buffer.concat(stream.frames.map(({ payload }) => payload)),
    );
    t.same(saidTrack(result, stream), companded(chirp(0.5)));
    const [connected, start, stop] = call.texts.map((text) => JSON.parse(text) as Record<string, unknown>);
    t.match(connected, { event: 'connected', protocol: 'Call', version: '1.0.0' });
    t.match(start, {
      sequenceNumber: '1',
      start: { callSid: result.callSid, customParameters: { a: 'b' }, tracks: ['inbound'] },
    });
    t.match(stop, { event: 'stop', sequenceNumber: '27', stop: { callSid: result.callSid } });
    t.match(call.closed, { code: 1000 });
    t.match(stream, { closeCode: 1000, closedBy: 'caller' });
    t.same(result.violations, []);
    t.equal(result.refused, null);
  },
);

void t.test('media messages are byte for byte what the dialect writes', async (t) => {
  const { bot, url } = await botFor(t);
  const messages: string[] = [];
  bot.on('call', (call) => call.on('message', ({ data }) => messages.push(data.toString())));
  const result = await new TwilioCaller({ url, seconds: 0.1 }).call();
  const [stream] = result.streams;
  const [first] = stream?.frames ?? [];
  const streamSid = stream?.streamSid ?? '';
  const payload = first?.payload ?? Buffer.alloc(0);
  t.equal(messages[2], twilioMedia({ streamSid, sequenceNumber: 2, chunk: 1, timestamp: 0, payload }));
});

void t.test('frames keep the schedule: none before its last sample exists, and no drift', async (t) => {
  const { stream } = await callTo(t, {}, { seconds: 1.5 });
  const late = stream.frames.map(({ sentMs, sampleStart }) => sentMs - (sampleStart / 8 + 20));
  t.ok(Math.min(...late) >= 0, 'never early');
  const median = late.sort((a, b) => a - b)[Math.floor(late.length / 2)] ?? Infinity;
  t.ok(median < 20, `median lateness ${median.toFixed(2)} ms`);
});

void t.test('an echo bot makes latency measurable, and what it returns is heard', async (t) => {
  const audio = new CallerAudio(chirp(1), { sampleRate: 8000 });
  const { result, stream } = await callTo(t, { echo: true }, { audio, seconds: 1 });
  t.ok(result.latency.samples >= 25, `${result.latency.samples} echoes`);
  t.ok(result.latency.p50 > 0 && result.latency.p50 <= result.latency.p99);
  const said = stream.frames.map(({ payload }) => Buffer.from(payload).toString('base64'));
  for (const { bytes, sampleStart } of stream.heard.slice(0, -1)) {
    const index = said.indexOf(Buffer.from(bytes).toString('base64'));
    if (index < 0 || sampleStart < (index + 1) * 160) t.fail('an echo that is not an echo');
  }
});

void t.test('a burst plays in real time from its arrival; the mark comes at its end', async (t) => {
  const speech = chirp(0.6);
  const onStart = (call: BotCall): void => {
    call.say(speech, Infinity);
    call.mark('end');
  };
  const { stream, call } = await callTo(t, { onStart }, { seconds: 1 });
  const [piece] = stream.heard;
  t.equal(stream.heard.length, 1);
  t.equal(piece?.sampleStart, stream.receipts[0]?.sampleStart);
  t.ok(Math.abs((piece?.atMs ?? 0) - (stream.receipts[0]?.atMs ?? 0)) < 0.125, 'it starts on receipt');
  t.same(piece?.pcm, companded(speech));
  const track = heardTrack(stream, 8000);
  t.same(track.subarray(piece?.sampleStart, (piece?.sampleStart ?? 0) + speech.length), companded(speech));
  t.same(
    call.marks.map(({ name }) => name),
    ['end'],
  );
  const [echo] = stream.echoes;
  t.equal(echo?.dueMs, (piece?.atMs ?? 0) + 600);
  t.ok((echo?.sentMs ?? 0) >= (echo?.dueMs ?? Infinity), 'no echo before playout');
});

void t.test('a clear cuts what is heard and brings all marks at once', async (t) => {
  const { bot, url } = await botFor(t, { say: () => chirp(5), clearAfterMs: 300, times: 1 });
  const caller = new TwilioCaller({ url, seconds: 0.8 });
  let clearedAtMs = NaN;
  caller.on('clear', ({ atMs }) => (clearedAtMs = atMs));
  const result = await caller.call();
  const [stream] = result.streams;
  const call = await bot.call(0);
  const last = stream?.heard.at(-1);
  t.equal((last?.sampleStart ?? 0) + (last?.pcm.length ?? 0), Math.round(clearedAtMs * 8));
  t.match(stream?.echoes, [{ name: 'utterance-1', cleared: true }]);
  t.equal(call.marks.length, 1);
  t.same(result.violations, []);
});

void t.test('what is queued at the hang-up is not heard', async (t) => {
  const { stream } = await callTo(t, { onStart: (call) => call.say(chirp(5), 1000) }, { seconds: 0.5 });
  const last = stream.heard.at(-1);
  const end = (last?.sampleStart ?? 0) + (last?.pcm.length ?? 0);
  t.equal(end, Math.round(stream.endMs * 8));
  t.ok(stream.endMs >= 500);
});

void t.test('a barge-in bot stops when the caller speaks', async (t) => {
  const audio = new CallerAudio(chirp(1), { sampleRate: 8000 });
  const { stream } = await callTo(
    t,
    { say: () => chirp(10), bargeIn: true, times: 1 },
    { audio, seconds: 1 },
  );
  t.match(stream.echoes, [{ cleared: true }]);
});

void t.test('a stall delivers nothing, then a burst with continuous timestamps', async (t) => {
  const { stream } = await callTo(t, {}, { seconds: 1, stalls: [{ atMs: 200, forMs: 500 }] });
  t.same(
    stream.frames.map(({ timestampMs }) => timestampMs),
    Array.from({ length: 50 }, (_none, index) => index * 20),
  );
  t.notOk(stream.frames.some(({ sentMs }) => sentMs >= 200 && sentMs < 700));
  const burst = stream.frames.filter(({ timestampMs }) => timestampMs >= 200 && timestampMs < 680);
  t.ok(Math.max(...burst.map(({ sentMs }) => sentMs)) - Math.min(...burst.map(({ sentMs }) => sentMs)) < 20);
});

void t.test('dropped frames leave holes in timestamps, chunks and sequence numbers', async (t) => {
  const { stream, call } = await callTo(t, {}, { seconds: 0.4, drops: [{ fromMs: 100, toMs: 200 }] });
  t.equal(stream.frames.length, 15);
  const after = stream.frames[5];
  t.match(after, { timestampMs: 200, sampleStart: 1600, lostBefore: 800 });
  t.equal((call.frames[5]?.sequence ?? 0) - (call.frames[4]?.sequence ?? 0), 6);
});

void t.test('timestamps jump forwards and backwards as told', async (t) => {
  const jumps = [
    { atMs: 100, byMs: 86_400_000 },
    { atMs: 200, byMs: -86_400_100 },
  ];
  const { stream } = await callTo(t, {}, { seconds: 0.3, jumps });
  const at = (index: number): number => stream.frames[index]?.timestampMs ?? NaN;
  t.same([at(4), at(5), at(10)], [80, 86_400_100, 100]);
});

void t.test('keys are sent at their time', async (t) => {
  const dtmf = [
    { atMs: 200, digit: '#' },
    { atMs: 100, digit: '5' },
  ];
  const { call } = await callTo(t, {}, { seconds: 0.4, dtmf });
  t.same(call.digits, ['5', '#']);
});

void t.test('a restart ends the stream and opens another one of the same call', async (t) => {
  const { bot, url } = await botFor(t);
  const audio = new CallerAudio(chirp(1), { sampleRate: 8000 });
  const caller = new TwilioCaller({ url, audio, seconds: 1, restarts: [{ atMs: 400, afterMs: 200 }] });
  const result = await caller.call();
  t.equal(result.streams.length, 2);
  const [first, second] = result.streams;
  const [a, b] = bot.calls;
  t.not(first?.streamSid, second?.streamSid);
  t.equal(a?.callSid, b?.callSid);
  t.equal(a?.stopped, true);
  t.equal(first?.frames.length, 20);
  t.equal(b?.frames[0]?.timestampMs, 0);
  t.equal(b?.frames[0]?.sequence, 2);
  const seamMs = (second?.startMs ?? 0) - ((first?.startMs ?? 0) + (first?.endMs ?? 0));
  t.ok(seamMs >= 200, `${seamMs.toFixed(0)} ms`);
  const skipped = Math.round(((second?.startMs ?? 0) - (first?.startMs ?? 0)) / 20);
  t.same(second?.frames[0]?.payload, audio.mulawFrame(skipped).payload, 'the caller spoke on meanwhile');
});

void t.test('a caller that vanishes sends no stop and no close frame', async (t) => {
  const { stream, call } = await callTo(t, {}, { vanishAtMs: 200 });
  t.match(stream, { closedBy: 'vanished', closeCode: 1006 });
  t.equal(stream.frames.length, 10);
  t.equal(call.stopped, false);
  t.match(call.closed, { code: 1006 });
});

void t.test(
  'a unidirectional stream with both tracks carries both, on one clock, and warns about any answer',
  async (t) => {
    const audio = new CallerAudio(chirp(1), { sampleRate: 8000 });
    const outboundAudio = new CallerAudio(chirp(1).reverse(), { sampleRate: 8000 });
    const { result, stream, call } = await callTo(
      t,
      { onStart: (call) => call.mark('not allowed') },
      { audio, outboundAudio, seconds: 0.2, track: 'both_tracks' },
    );
    t.same(call.start?.['tracks'], ['inbound', 'outbound']);
    t.equal(stream.frames.length, 20);
    t.same(
      call.frames.slice(0, 4).map(({ track, timestampMs }) => [track, timestampMs]),
      [
        ['inbound', 0],
        ['outbound', 0],
        ['inbound', 20],
        ['outbound', 20],
      ],
    );
    t.same(call.frames[1]?.payload, outboundAudio.mulawFrame(0).payload);
    t.match(result.violations, [{ code: '31924' }]);
  },
);

void t.test('a tap beside a call carries what that caller hears', async (t) => {
  const { bot, url } = await botFor(t, {
    onStart: (call) => (call.url === '/twilio' ? call.say(chirp(2)) : undefined),
  });
  const caller = new TwilioCaller({ url, seconds: 0.6 });
  const done = caller.call();
  await new Promise((resolve) => caller.once('media', resolve));
  const tap = new TwilioCaller({
    url: `${url}/tap`,
    seconds: 0.3,
    track: 'outbound_track',
    outboundOf: caller,
    callSid: caller.callSid,
  });
  const [heard, tapped] = await Promise.all([done, tap.call()]);
  const [stream] = heard.streams;
  const [forked] = tapped.streams;
  if (stream === undefined || forked === undefined) throw new Error('the calls were not made');
  const offset = Math.round((forked.startMs - stream.startMs) * 8);
  const expected = Buffer.alloc(160, 0xff);
  const track = heardTrack(stream, 8000).subarray(offset + 800, offset + 960);
  kernels.encodeMulaw(track, expected);
  t.same(Buffer.from(forked.frames[5]?.payload ?? []), expected);
  t.equal(bot.calls[1]?.callSid, caller.callSid);
});

void t.test('the upgrade is signed as Twilio signs it, over the URL as given', async (t) => {
  const { bot, url } = await botFor(t);
  await new TwilioCaller({ url, seconds: 0.04, authToken: 'secret' }).call();
  await new TwilioCaller({
    url,
    seconds: 0.04,
    authToken: 'secret',
    signedUrl: 'wss://relay.example.com/twilio',
  }).call();
  await new TwilioCaller({ url, seconds: 0.04 }).call();
  const sign = (signed: string): string => createHmac('sha1', 'secret').update(signed).digest('base64');
  t.same(
    bot.calls.map(({ headers }) => headers['x-twilio-signature']),
    [sign(url), sign('wss://relay.example.com/twilio'), undefined],
  );
});

const faults: Record<string, (call: BotCall) => void> = {
  31950: (call) => call.send(Buffer.from('{}')),
  31951: (call) =>
    call.send(JSON.stringify({ event: 'media', streamSid: 'MZother', media: { payload: '/w==' } })),
  31931: (call) => {
    call.send(
      JSON.stringify({
        event: 'media',
        streamSid: call.streamSid,
        media: { payload: Buffer.alloc(4_800_000).toString('base64') },
      }),
    );
    call.sendAudio(Buffer.alloc(8000));
    call.sendAudio(Buffer.alloc(8000));
  },
};

for (const [code, onStart] of Object.entries(faults)) {
  void t.test(`a server that provokes ${code} is found out, once, and the call goes on`, async (t) => {
    const { result, stream } = await callTo(t, { onStart }, { seconds: 1 });
    t.match(result.violations, [{ code }]);
    t.equal(result.violations.length, 1);
    t.equal(stream.frames.length, 50);
  });
}

void t.test('a frame that breaks the WebSocket protocol is 31924', async (t) => {
  const onStart = (call: BotCall): void => {
    const raw = call.socket as unknown as { _socket: { write(bytes: Buffer): void } };
    raw._socket.write(Buffer.from([0xff, 0x00]));
  };
  const { result } = await callTo(t, { onStart }, { seconds: 0.5 });
  t.match(result.violations, [{ code: '31924' }]);
});

void t.test('a refused upgrade is told with its status', async (t) => {
  const { url } = await botFor(t, { refuseWith: 403 });
  const result = await new TwilioCaller({ url, seconds: 1 }).call();
  t.match(result.refused, { status: 403 });
  t.same(result.streams, []);
});

void t.test('a port where nobody listens is told', async (t) => {
  const bot = new Bot();
  const { url } = await bot.listen(0);
  await bot.close();
  const result = await new TwilioCaller({ url, seconds: 1 }).call();
  t.match(result.refused, { status: null, reason: /ECONNREFUSED/ });
});

void t.test('the end tells who ended it: a server that closes, and one that breaks off', async (t) => {
  const closing = await callTo(t, { onStart: (call) => call.close(1008, 'no') }, {});
  t.match(closing.stream, { closedBy: 'server', closeCode: 1008, closeReason: 'no' });
  const breaking = await callTo(t, { onStart: (call) => call.terminate() }, {});
  t.match(breaking.stream, { closedBy: 'server', closeCode: 1006 });
});

void t.test('the WAV has what was said on the left and what was heard on the right', async (t) => {
  const audio = new CallerAudio(chirp(0.5), { sampleRate: 8000 });
  const { caller, result, stream } = await callTo(t, { echo: true }, { audio, seconds: 0.5 });
  const file = join(t.testdir(), 'heard.wav');
  await caller.heardWav(file);
  const bytes = await readFile(file);
  const header = readWavHeader(bytes);
  t.match(header, { channels: 2, sampleRate: 8000, bitsPerSample: 16 });
  const left: number[] = [];
  const right: number[] = [];
  for (let at = header.dataOffset; at < header.dataOffset + header.dataBytes; at += 4) {
    left.push(bytes.readInt16LE(at));
    right.push(bytes.readInt16LE(at + 2));
  }
  t.same(left.slice(0, 4000), [...saidTrack(result, stream)]);
  const heard = [...heardTrack(stream, 8000)];
  t.same(right.slice(0, heard.length), heard);
});

void t.test('many callers share one timer and one encoding', async (t) => {
  const { url } = await botFor(t, { echo: true });
  const audio = new CallerAudio(chirp(1), { sampleRate: 8000 });
  const callers = Array.from({ length: 40 }, () => new TwilioCaller({ url, audio, seconds: 0.6 }));
  const results = await Promise.all(callers.map((caller) => caller.call()));
  t.ok(results.every(({ framesSent, violations }) => framesSent === 30 && violations.length === 0));
});

void t.test('a caller can hang up at any time: in the call, before it, between two streams', async (t) => {
  const { bot, url } = await botFor(t);
  const early = new TwilioCaller({ url });
  early.hangUp();
  t.same((await early.call()).streams, []);
  t.equal(bot.calls.length, 0, 'nothing was dialled');
  const talking = new TwilioCaller({ url });
  talking.once('open', () => talking.hangUp());
  t.match((await talking.call()).streams, [{ closedBy: 'caller', closeCode: 1000 }]);
  const between = new TwilioCaller({ url, restarts: [{ atMs: 40, afterMs: 60_000 }] });
  between.once('closed', () => setImmediate(() => between.hangUp()));
  t.equal((await between.call()).streams.length, 1);
});

void t.test('a caller that stops reading goes on speaking', async (t) => {
  const { bot, url } = await botFor(t, { onStart: (call) => call.say(chirp(2)) });
  const caller = new TwilioCaller({ url, seconds: 0.5 });
  caller.once('open', () => caller.pauseReading());
  const done = caller.call();
  const call = await bot.call(0);
  await new Promise<void>((resolve) => call.on('audio', () => call.frames.length === 10 && resolve()));
  caller.resumeReading();
  const [stream] = (await done).streams;
  t.ok((stream?.receipts[0]?.atMs ?? 0) >= 200, 'nothing was read before');
  t.equal(stream?.receipts.length, 100);
});
