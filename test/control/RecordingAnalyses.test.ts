import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { AudioAnalysis } from '../../src/audio/AudioAnalysis.js';
import { readSpeech } from '../../src/audio/Speech.js';
import type { RecordedAudio, SampleRange } from '../../src/control/rendition/RecordedAudio.js';
import { RecordingAnalyses } from '../../src/control/rendition/RecordingAnalyses.js';
import { fabricateRecording } from '../fixtures/recording.js';
import { audioOf } from './fixtures/recordedAudio.js';

function found(analysis: AudioAnalysis | null): unknown {
  if (analysis === null) return null;
  const { waveform, speech, samples } = analysis;
  return [samples, waveform.levels, speech.map(({ segments }) => segments)];
}

/** What one look at these interleaved samples of two channels finds. */
function foundIn(pcm: Int16Array): unknown {
  const analysis = new AudioAnalysis({ sampleRate: 8000, channels: 2 });
  analysis.push(pcm);
  return found(analysis);
}

/** Audio out of memory, which tells how much of it was read. */
class HeldAudio {
  readonly sampleRate = 8000;
  readonly channels = 2;
  read = 0;
  readonly #pcm: Int16Array;

  constructor(pcm: Int16Array) {
    this.#pcm = pcm;
  }

  /** As it was at some moment. */
  at(sealedSamples: number, samples: number, failAt = Infinity): RecordedAudio {
    const { sampleRate, channels } = this;
    const read = (range: SampleRange) => this.#read(range, failAt);
    return { sampleRate, channels, samples, sealedSamples, read } as unknown as RecordedAudio;
  }

  async *#read({ start, end }: SampleRange, failAt: number): AsyncGenerator<Int16Array> {
    for (let at = start; at < end; at += 1000) {
      if (at >= failAt) throw new Error('the store is away');
      const next = Math.min(end, at + 1000);
      this.read += next - at;
      await Promise.resolve();
      yield this.#pcm.subarray(at * 2, next * 2);
    }
  }
}

async function talk(): Promise<Int16Array> {
  const [caller, bot] = await Promise.all(
    ['caller', 'bot'].map((name) => readSpeech(join('src', 'simulators', 'speech', `${name}.wav`), 8000)),
  );
  return Int16Array.from({ length: 2 * 60_000 }, (_, at) => ((at & 1) === 0 ? caller : bot)?.[at >> 1] ?? 0);
}

await t.test('however a recording grew, what is found is what one look at all of it finds', async (t) => {
  const pcm = await talk();
  const moment = fc.record({ sealed: fc.nat(60_000), growing: fc.nat(4000), fails: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(moment, { minLength: 1, maxLength: 6 }), async (moments) => {
      const analyses = new RecordingAnalyses();
      const audio = new HeldAudio(pcm);
      for (const { sealed, growing, fails } of moments.toSorted((a, b) => a.sealed - b.sealed)) {
        const samples = Math.min(60_000, sealed + growing);
        if (fails) await analyses.of('r1', audio.at(sealed, samples, sealed / 2)).catch(() => undefined);
        const analysis = await analyses.of('r1', audio.at(sealed, samples));
        t.same(found(analysis), foundIn(pcm.subarray(0, 2 * samples)));
      }
    }),
    { numRuns: 30 },
  );
});

await t.test('what is sealed is read once, however many ask at once', async (t) => {
  const pcm = await talk();
  const audio = new HeldAudio(pcm);
  const analyses = new RecordingAnalyses();
  const expected = foundIn(pcm);
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => analyses.of('r1', audio.at(60_000, 60_000))),
  );
  for (const answer of answers) t.same(found(answer), expected);
  t.equal(audio.read, 60_000);
  await analyses.of('r1', audio.at(60_000, 60_000));
  t.equal(audio.read, 60_000);
  await analyses.of('r2', audio.at(8000, 9000));
  t.equal(audio.read, 69_000);
  await analyses.of('r2', audio.at(8000, 9500));
  t.equal(audio.read, 70_500, 'what may be amended is read again');
});

await t.test('one that could not be read is read again from where it broke off', async (t) => {
  const audio = new HeldAudio(await talk());
  const analyses = new RecordingAnalyses();
  await t.rejects(analyses.of('r1', audio.at(60_000, 60_000, 40_000)), { message: 'the store is away' });
  t.equal(audio.read, 40_000);
  t.equal((await analyses.of('r1', audio.at(60_000, 60_000)))?.samples, 60_000);
  t.equal(audio.read, 60_000);
});

await t.test('the ones that were asked for last are kept', async (t) => {
  const audio = new HeldAudio(new Int16Array(2 * 80_000));
  const one = await new RecordingAnalyses().of('r', audio.at(80_000, 80_000));
  const analyses = new RecordingAnalyses(3 * (one?.waveform.bytes ?? 0));
  for (const id of ['a', 'b', 'c', 'a', 'd']) await analyses.of(id, audio.at(80_000, 80_000));
  audio.read = 0;
  for (const id of ['a', 'c', 'd']) await analyses.of(id, audio.at(80_000, 80_000));
  t.equal(audio.read, 0);
  await analyses.of('b', audio.at(80_000, 80_000));
  t.equal(audio.read, 80_000);
  const small = new RecordingAnalyses(1);
  await small.of('a', audio.at(80_000, 80_000));
  audio.read = 0;
  await small.of('a', audio.at(80_000, 80_000));
  t.equal(audio.read, 0, 'the last one whatever it takes');
});

/** Audio that comes when it is let through. */
class GatedAudio {
  letThrough: () => void = () => undefined;
  /** Pieces that were given. */
  given = 0;
  #isAsked: () => void = () => undefined;
  /** Somebody waits for it. */
  readonly asked = new Promise<void>((resolve) => (this.#isAsked = resolve));
  readonly #gate = new Promise<void>((resolve) => (this.letThrough = resolve));

  get audio(): RecordedAudio {
    const read = (range: SampleRange) => this.#read(range);
    return { sampleRate: 8000, channels: 2, samples: 3, sealedSamples: 3, read } as unknown as RecordedAudio;
  }

  async *#read({ start, end }: SampleRange): AsyncGenerator<Int16Array> {
    for (let at = start; at < end; at++) {
      this.#isAsked();
      await this.#gate;
      this.given++;
      yield new Int16Array(2);
    }
  }
}

function asker(accountId: string): { readonly accountId: string; readonly gone: AbortSignal } {
  return { accountId, gone: new AbortController().signal };
}

await t.test('when too many wait, more are told to come again, half as many of one account', async (t) => {
  const analyses = new RecordingAnalyses();
  const gated = new GatedAudio();
  const ask = async (at: number, accountId: string) =>
    await analyses.of(`r${at}`, gated.audio, asker(accountId));
  const mine = Array.from({ length: 33 }, (_, at) => ask(at, 'AC1'));
  await t.rejects(ask(33, 'AC1'), { code: 'too_many_downloads' });
  const others = Array.from({ length: 33 }, (_, at) => ask(at, 'AC2'));
  await t.rejects(ask(0, 'AC3'), { code: 'too_many_downloads' });
  gated.letThrough();
  for (const analysis of await Promise.all([...mine, ...others])) t.equal(analysis?.samples, 3);
  t.equal((await ask(33, 'AC1'))?.samples, 3);
  t.equal((await ask(0, 'AC3'))?.samples, 3);
});

await t.test('one account’s recordings keep no other’s waiting', async (t) => {
  const analyses = new RecordingAnalyses();
  const [stuck, also, free] = [new GatedAudio(), new GatedAudio(), new GatedAudio()];
  const waiting = [analyses.of('r1', stuck.audio, asker('AC1')), analyses.of('r2', also.audio, asker('AC1'))];
  await stuck.asked;
  free.letThrough();
  t.equal(
    (await analyses.of('r1', free.audio, asker('AC2')))?.samples,
    3,
    'the same id is another recording',
  );
  t.equal(also.given + stuck.given, 0);
  stuck.letThrough();
  also.letThrough();
  t.same(
    (await Promise.all(waiting)).map((each) => each?.samples),
    [3, 3],
  );
});

await t.test('what nobody waits for any more is left, and taken up where it was', async (t) => {
  const analyses = new RecordingAnalyses();
  const gated = new GatedAudio();
  const [one, other] = [new AbortController(), new AbortController()];
  const asked = [one, other].map(({ signal: gone }) =>
    analyses.of('r1', gated.audio, { accountId: 'AC1', gone }),
  );
  await gated.asked;
  one.abort();
  other.abort();
  gated.letThrough();
  t.same(await Promise.all(asked), [null, null]);
  t.equal(gated.given, 1, 'no more was read');
  const third = new AbortController();
  const again = [
    analyses.of('r1', gated.audio, { accountId: 'AC1', gone: third.signal }),
    analyses.of('r1', gated.audio, asker('AC1')),
  ];
  third.abort();
  t.same(
    (await Promise.all(again)).map((each) => each?.samples),
    [3, 3],
    'somebody else waits for it',
  );
});

await t.test('of a real recording it looks through every file', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'spool'), {
    state: 'recording',
    chunks: 3,
    samplesPerChunk: 8000,
    openSamples: 1234,
  });
  const analyses = new RecordingAnalyses();
  const analysis = await analyses.of('r1', await audioOf(dir, recording));
  t.same(found(analysis), foundIn(recording.pcm));
  await rm(join(recording.folder, '0-audio.wav'));
  await rm(join(recording.folder, '3-audio.wav.open'));
  const again = await analyses.of('r1', await audioOf(dir, recording));
  t.same(found(again), foundIn(recording.pcm.subarray(0, 48_000)), 'what was sealed is not asked for again');
});
