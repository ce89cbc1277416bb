import assert from 'node:assert/strict';
import t from 'tap';
import { kernels } from '../../src/audio/kernels.js';
import { bytesOf } from '../../src/audio/pcm.js';
import type { JambonzReturns } from '../../src/config/Config.js';
import type { Dialect, PlayedAudio, PlayedStream, UpstreamEvent } from '../../src/providers/Dialect.js';
import { jambonzDialect } from '../../src/providers/jambonz/dialect.js';
import { twilioDialect } from '../../src/providers/twilio/dialect.js';

/* What is played to callers: messages that a bot could have sent, and the events that reading them would give. */

function spoken(rate: number): Int16Array {
  return Int16Array.from({ length: 2.5 * rate }, (_none, at) => ((at * 37) % 20_011) - 10_000);
}

const audioAs: PlayedAudio = (rate, form) => form(spoken(rate), rate);

function streamOf(returns: JambonzReturns, sampleRate: number, streamId: string | null = null): PlayedStream {
  return { streamId, sampleRate, jambonz: { returns, returnSampleRate: null, legSampleRate: 24_000 } };
}

function plain(event: UpstreamEvent): object {
  return 'payload' in event ? { ...event, payload: Buffer.from(event.payload) } : event;
}

/** Bytes of audio in each message, and all of it. @throws unless each event is what its message says */
function played(dialect: Dialect, stream: PlayedStream): { bytes: number[]; audio: Buffer } {
  const messages = dialect.play(stream, audioAs) ?? [];
  const payloads = messages.map(({ data, isBinary, event }) => {
    assert.deepStrictEqual(plain(event), plain(dialect.readUpstream(data, isBinary)));
    return 'payload' in event ? Buffer.from(event.payload) : Buffer.alloc(0);
  });
  return { bytes: payloads.map(({ length }) => length), audio: Buffer.concat(payloads) };
}

await t.test('Twilio gets seconds of mu-law', (t) => {
  const mulaw = new Uint8Array(20_000);
  kernels.encodeMulaw(spoken(8000), mulaw);
  for (const streamId of ['MZ1', 'MZ2']) {
    const { bytes, audio } = played(twilioDialect, streamOf('none', 8000, streamId));
    t.same(bytes, [8000, 8000, 4000]);
    t.ok(audio.equals(mulaw));
  }
  t.equal(twilioDialect.play(streamOf('none', 8000), audioAs), null, 'a stream has an id there');
  t.end();
});

await t.test('jambonz gets seconds of samples, the last of them filled up, or a clip', (t) => {
  const { bytes, audio } = played(jambonzDialect, streamOf('streaming', 16_000));
  t.same(bytes, [32_000, 32_000, 19_200]);
  const wanted = bytesOf(spoken(16_000));
  t.ok(audio.subarray(0, wanted.length).equals(wanted));
  t.ok(audio.subarray(wanted.length).every((byte) => byte === 0));
  const clip = played(jambonzDialect, streamOf('playAudio', 16_000));
  t.same(clip.bytes, [120_000], 'at the rate of the leg');
  t.ok(clip.audio.equals(bytesOf(spoken(24_000))));
  t.equal(jambonzDialect.play(streamOf('none', 8000), audioAs), null);
  t.end();
});

await t.test('what there is no audio for isn’t played', (t) => {
  const none: PlayedAudio = () => undefined;
  t.equal(twilioDialect.play(streamOf('none', 8000, 'MZ1'), none), null);
  for (const returns of ['streaming', 'playAudio'] as const)
    t.equal(jambonzDialect.play(streamOf(returns, 8000), none), null);
  t.end();
});
