import t from 'tap';
import fc from 'fast-check';
import { jambonzDialect } from '../../src/providers/jambonz/dialect.js';
import * as jambonz from '../../src/providers/jambonz/messages.js';
import { twilioDialect } from '../../src/providers/twilio/dialect.js';
import * as twilio from '../../src/providers/twilio/messages.js';
import { readBothSides } from './EventInvariants.js';

const id = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$/);
const digit = fc.stringMatching(/^[0-9*#A-D]$/);
const counter = fc.nat();
const audio = fc.uint8Array({ minLength: 1, maxLength: 2000 });
const markName = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 });
const plainName = fc.stringMatching(/^[A-Za-z0-9 _.:#-]{1,60}$/);

const fromTwilio = (text: string) => twilioDialect.readProvider(Buffer.from(text), false);
const fromTwilioBot = (text: string) => twilioDialect.readUpstream(Buffer.from(text), false);
const fromJambonz = (text: string) => jambonzDialect.readProvider(Buffer.from(text), false);
const fromJambonzBot = (text: string) => jambonzDialect.readUpstream(Buffer.from(text), false);

await t.test('what Twilio writes is read as it was meant', (t) => {
  const tracks = fc.subarray(['inbound', 'outbound'] as const, { minLength: 1 });
  const parameters = fc.dictionary(fc.string({ minLength: 1, maxLength: 20 }), fc.string({ maxLength: 40 }));
  fc.assert(
    fc.property(
      id,
      id,
      id,
      tracks,
      parameters,
      (accountSid, callSid, streamSid, tracks, customParameters) => {
        const start = { accountSid, callSid, streamSid, tracks, customParameters, sequenceNumber: 1 };
        t.match(fromTwilio(twilio.twilioStart(start)), {
          kind: 'start',
          accountId: accountSid,
          callId: callSid,
          streamId: streamSid,
          tracks: tracks.map((track) => (track === 'inbound' ? 'caller' : 'bot')),
          parameters: customParameters,
          warnings: [],
        });
        const stop = { accountSid, callSid, streamSid, sequenceNumber: 9 };
        t.strictSame(fromTwilio(twilio.twilioStop(stop)), { kind: 'stop', streamId: streamSid });
      },
    ),
  );
  fc.assert(
    fc.property(id, counter, audio, markName, digit, (streamSid, count, payload, name, digit) => {
      const numbered = { streamSid, sequenceNumber: count };
      const media = { ...numbered, chunk: count, timestamp: count, payload };
      t.strictSame(fromTwilio(twilio.twilioMedia(media)), {
        kind: 'audio',
        track: 'caller',
        payload: Buffer.from(payload),
        timestampMs: count,
        streamId: streamSid,
        warnings: [],
      });
      t.match(fromTwilio(twilio.twilioMark({ ...numbered, name })), { kind: 'mark', name });
      t.match(fromTwilio(twilio.twilioDtmf({ ...numbered, digit })), { kind: 'dtmf', digit });
    }),
  );
  t.strictSame(fromTwilio(twilio.twilioConnected()), { kind: 'connected' });
  t.end();
});

await t.test('what a Twilio bot writes is read as it was meant', (t) => {
  fc.assert(
    fc.property(id, audio, markName, (streamId, payload, name) => {
      t.match(fromTwilioBot(twilio.twilioBotMedia(streamId, payload)), {
        kind: 'audio',
        payload: Buffer.from(payload),
        streamId,
      });
      t.strictSame(fromTwilioBot(twilio.twilioBotMark(streamId, name)), { kind: 'mark', name, streamId });
      t.strictSame(fromTwilioBot(twilio.twilioBotClear(streamId)), { kind: 'clear', streamId });
    }),
  );
  t.end();
});

await t.test('what jambonz writes is read as it was meant', (t) => {
  const rate = fc.integer({ min: 4000, max: 192_000 });
  const mix = fc.constantFrom('mono', 'mixed', 'stereo');
  const extra = fc.record({
    tenant: fc.string(),
    nested: fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 }),
  });
  fc.assert(
    fc.property(id, id, rate, mix, extra, (accountSid, callSid, sampleRate, mixType, metadata) => {
      const text = jambonz.jambonzStart({ accountSid, callSid, sampleRate, mixType, metadata, from: '+1' });
      t.match(fromJambonz(text), {
        kind: 'start',
        accountId: accountSid,
        callId: callSid,
        sampleRate,
        channels: mixType === 'stereo' ? 2 : 1,
        tracks: [{ mono: 'caller', mixed: 'mixed', stereo: 'both' }[mixType]],
        from: '+1',
        direction: 'inbound',
        warnings: [],
      });
    }),
  );
  fc.assert(
    fc.property(digit, fc.nat(60_000), plainName, fc.boolean(), (digit, durationMs, name, cleared) => {
      t.match(fromJambonz(jambonz.jambonzDtmf(digit, durationMs)), { kind: 'dtmf', digit, durationMs });
      t.match(fromJambonz(jambonz.jambonzPlayDone(name, durationMs)), {
        kind: 'clipDone',
        id: name,
        playedMs: durationMs,
      });
      const echo = jambonz.jambonzMark(name, cleared ? 'cleared' : 'playout');
      t.strictSame(fromJambonz(echo), { kind: 'mark', name, streamId: null, cleared });
    }),
  );
  t.end();
});

await t.test('what a jambonz bot writes is read as it was meant', (t) => {
  const rate = fc.constantFrom(8000, 16_000, 24_000, 32_000, 48_000, 64_000);
  const samples = fc.int16Array({ minLength: 1, maxLength: 500 });
  fc.assert(
    fc.property(samples, rate, plainName, fc.boolean(), (samples, sampleRate, id, queuePlay) => {
      const audioContent = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
      const text = jambonz.jambonzPlayAudio({
        audioContentType: 'raw',
        audioContent,
        sampleRate,
        id,
        queuePlay,
      });
      t.match(fromJambonzBot(text), {
        kind: 'clip',
        id,
        queued: queuePlay,
        sampleRate,
        payload: Buffer.from(audioContent),
      });
      t.match(fromJambonzBot(jambonz.jambonzBotMark(id)), { kind: 'mark', name: id });
    }),
  );
  t.strictSame(fromJambonzBot(jambonz.jambonzKillAudio()), { kind: 'clear', streamId: null });
  t.strictSame(fromJambonzBot(jambonz.jambonzClearMarks()), { kind: 'clearMarks' });
  t.strictSame(fromJambonzBot(jambonz.jambonzDisconnect()), { kind: 'disconnect' });
  t.end();
});

await t.test('a mark name that is let through comes back in an echo that can be read', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }), (name) => {
      const event = fromJambonzBot(jambonz.jambonzBotMark(name));
      if (event.kind !== 'mark') return;
      t.match(fromJambonz(jambonz.jambonzMark(event.name, 'playout')), { kind: 'mark', name });
    }),
    { numRuns: 300 },
  );
  t.end();
});

await t.test('any bytes and any JSON are read without an error, by every dialect', (t) => {
  const json = fc.oneof(
    fc.jsonValue().map((value) => JSON.stringify(value)),
    fc
      .record({
        event: fc.constantFrom('media', 'mark', 'dtmf', 'start', 'stop', 'clear'),
        type: fc.constantFrom('playAudio', 'mark', 'playDone'),
        data: fc.jsonValue(),
        media: fc.jsonValue(),
        mark: fc.jsonValue(),
        dtmf: fc.jsonValue(),
        start: fc.jsonValue(),
        callSid: fc.jsonValue(),
      })
      .map((value) => JSON.stringify(value)),
  );
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    json.map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(message, fc.boolean(), (data, isBinary) => {
      for (const dialect of [twilioDialect, jambonzDialect]) readBothSides(dialect, data, isBinary);
    }),
    { numRuns: 2000 },
  );
  t.pass('no error');
  t.end();
});
