/**
 * Fuzzes the readers of every dialect for a bounded time: real messages, mutated and crossed, and random bytes. A reader
 * must not throw, and every event must keep the promises of its type.
 *
 *     npm run fuzz -- [seconds, default 10] [seed, default random]
 *
 * Prints the seed first, so that a failure can be repeated, and the message that failed as base64.
 */
import { randomInt } from 'node:crypto';
import { wavHeader } from '../../src/audio/wav.js';
import type { Dialect } from '../../src/providers/Dialect.js';
import { jambonzDialect } from '../../src/providers/jambonz/dialect.js';
import * as jambonz from '../../src/providers/jambonz/messages.js';
import { accountsProvenBy } from '../../src/providers/jambonz/credentials.js';
import { twilioDialect } from '../../src/providers/twilio/dialect.js';
import * as twilio from '../../src/providers/twilio/messages.js';
import { urlCandidates, verifySignature } from '../../src/providers/twilio/signature.js';
import { StartTokens } from '../../src/providers/twilio/startToken.js';
import { readBothSides } from '../providers/EventInvariants.js';

/** Mulberry32: small, seedable, good enough to pick mutations. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const ids = { accountSid: 'AC0123', callSid: 'CA0123', streamSid: 'MZ0123' };
const numbered = { streamSid: ids.streamSid, sequenceNumber: 3 };
const samples = new Uint8Array(160).map((_, i) => i * 7);
const wav = Buffer.concat([wavHeader({ sampleRate: 8000, channels: 1, samples: 80 }), samples]);
const corpus: readonly Buffer[] = [
  twilio.twilioConnected(),
  twilio.twilioStart({ ...ids, sequenceNumber: 1, customParameters: { reelayToken: 'r1.x.y.z', a: 'ü' } }),
  twilio.twilioMedia({ ...numbered, chunk: 1, timestamp: 20, payload: samples }),
  twilio.twilioMedia({ ...numbered, chunk: 1, timestamp: 20, payload: wav }),
  twilio.twilioDtmf({ ...numbered, digit: '#' }),
  twilio.twilioMark({ ...numbered, name: 'm' }),
  twilio.twilioStop({ ...ids, sequenceNumber: 9 }),
  twilio.twilioBotMedia(ids.streamSid, samples),
  twilio.twilioBotMark(ids.streamSid, 'm'),
  twilio.twilioBotClear(ids.streamSid),
  jambonz.jambonzStart({
    ...ids,
    sampleRate: 16_000,
    mixType: 'stereo',
    metadata: { nested: { callSid: 'x' } },
  }),
  `audio_fork ${jambonz.jambonzStart({ ...ids, sampleRate: 8000, mixType: 'mono' })}`,
  jambonz.jambonzDtmf('5', 200),
  jambonz.jambonzPlayDone('c', 2500),
  jambonz.jambonzMark('m', 'cleared'),
  jambonz.jambonzPlayAudio({ audioContentType: 'raw', audioContent: samples, sampleRate: 8000, id: 'c' }),
  jambonz.jambonzPlayAudio({ audioContentType: 'wav', audioContent: wav, queuePlay: true }),
  jambonz.jambonzKillAudio(),
  jambonz.jambonzBotMark('m'),
  jambonz.jambonzClearMarks(),
  jambonz.jambonzDisconnect(),
].map((text) => Buffer.from(text));

const tokens = [
  'null',
  'true',
  '-1',
  '0',
  '1e999',
  '1e-7',
  '9007199254740993',
  '""',
  '[]',
  '{}',
  '"\\ud800"',
  '"__proto__":{},',
  '"constructor":',
  '"event":',
  '"type":',
  '"../"',
  '\\u0000',
  '\u0000',
  '{"a":'.repeat(20_000),
  '['.repeat(20_000),
  '"sampleRate":"1"',
  '"callSid":',
  '=',
  '==',
  '-_',
  'RIFF',
  'WAVE',
  'fmt ',
  'data',
  '\ud83d\ude00',
  '\n',
  '"',
  '\\',
  '}',
].map((text) => Buffer.from(text));

type Random = ReturnType<typeof randomFrom>;

function pick<T>(list: readonly T[], random: Random): T {
  return list[random(list.length)] as T;
}

/** One change: bytes flipped, cut, repeated, put in, or replaced by a part of another message. */
function mutate(data: Buffer, random: Random): Buffer {
  const at = random(data.length + 1);
  const end = Math.min(data.length, at + random(12));
  const [head, middle, tail] = [data.subarray(0, at), data.subarray(at, end), data.subarray(end)];
  switch (random(7)) {
    case 0:
      return Buffer.concat([head, Buffer.from(middle.map((byte) => byte ^ (1 << random(8)))), tail]);
    case 1:
      return head;
    case 2:
      return Buffer.concat([head, tail]);
    case 3:
      return Buffer.concat([head, middle, middle, tail]);
    case 4:
      return Buffer.concat([head, pick(tokens, random), middle, tail]);
    case 5:
      return Buffer.concat([head, pick(tokens, random), tail]);
    default: {
      const other = pick(corpus, random);
      return Buffer.concat([head, other.subarray(random(other.length + 1))]);
    }
  }
}

const values = [
  'null',
  'true',
  '-1',
  '0',
  '7',
  '"7"',
  '8000.5',
  '1e999',
  '-0',
  '""',
  '[]',
  '{}',
  '[[]]',
  '{"a":{"name":"x"}}',
  '"../"',
  '"\\ud800"',
  '"\\u0000"',
  '"A"',
  '"__-_"',
  '"mono"',
  '"raw"',
  '"media"',
  '"start"',
  '"playAudio"',
  '"CA1"',
  `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
  `"${'x'.repeat(2000)}"`,
].map((text) => Buffer.from(text));

/** Keeps the JSON whole and puts another value in the place of one, which reaches deeper than flipped bytes do. */
function replaceValue(data: Buffer, random: Random): Buffer {
  const text = data.toString('latin1');
  const found = [...text.matchAll(/:("(?:[^"\\]|\\.)*"|-?\d+|true|false|null)/g)];
  const value = found.length === 0 ? undefined : pick(found, random);
  if (value === undefined) return data;
  const start = value.index + 1;
  return Buffer.concat([
    data.subarray(0, start),
    pick(values, random),
    data.subarray(start + (value[1]?.length ?? 0)),
  ]);
}

/** A good message around audio that is not. */
function badAudio(random: Random): Buffer {
  const payload = mutate(mutate(wav, random), random);
  const text =
    random(2) === 0
      ? jambonz.jambonzPlayAudio({ audioContentType: 'wav', audioContent: payload })
      : twilio.twilioMedia({ ...numbered, chunk: 1, timestamp: 20, payload });
  return Buffer.from(text);
}

function message(random: Random): Buffer {
  const kind = random(10);
  if (kind === 0) return Buffer.from(Uint8Array.from({ length: random(300) }, () => random(256)));
  if (kind === 1) return badAudio(random);
  const change = kind < 6 ? mutate : replaceValue;
  let data = pick(corpus, random);
  for (let changes = random(4); changes >= 0; changes--) data = change(data, random);
  return data;
}

const dialects: readonly Dialect[] = [twilioDialect, jambonzDialect];
const startTokens = new StartTokens(new Uint8Array(32));
const scope = { accountId: 'AC1', callId: 'CA1', path: '/twilio', authTokens: ['secret'], nowMs: 0 };

function execute(data: Buffer, isBinary: boolean): void {
  for (const dialect of dialects) readBothSides(dialect, data, isBinary);
}

/** What comes with an upgrade and isn't a message: nothing made at random may be let in. */
function executeAdmission(data: Buffer): void {
  const text = data.toString('latin1');
  const candidates = urlCandidates({ publicUrl: null, hostHeader: 'h', path: `/${text}`, schemes: ['wss'] });
  urlCandidates({ publicUrl: text, hostHeader: text, path: text, schemes: ['wss', 'ws'] });
  const admitted =
    verifySignature({ header: text, tokens: ['secret'], candidates }) ||
    startTokens.redeem(text, scope) === 'ok' ||
    accountsProvenBy(text, [{ accountId: 'a', credentials: [{ username: 'u', password: 'p' }] }]).length > 0;
  if (admitted) throw new Error('a forged proof was accepted');
}

function main(seconds: number, seed: number): void {
  if (!(seconds > 0) || !Number.isInteger(seed)) throw new Error('usage: npm run fuzz -- [seconds] [seed]');
  console.log(`fuzzing ${dialects.map(({ name }) => name).join(', ')} for ${seconds} s, seed ${seed}`);
  const random = randomFrom(seed);
  const end = performance.now() + seconds * 1000;
  let executions = 0;
  while (performance.now() < end) {
    const data = message(random);
    try {
      execute(data, random(8) === 0);
      if (executions % 16 === 0) executeAdmission(data.subarray(0, 2000));
    } catch (error) {
      console.error(`failed after ${executions} executions, seed ${seed}: ${data.toString('base64')}`);
      throw error;
    }
    executions++;
  }
  console.log(`${executions} executions, no failure`);
}

main(Number(process.argv[2] ?? 10), Number(process.argv[3] ?? randomInt(2 ** 32)));
