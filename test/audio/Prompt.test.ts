import { join } from 'node:path';
import t from 'tap';
import { promptAt, readPrompts } from '../../src/audio/Prompt.js';
import { writeWav } from '../../src/audio/Speech.js';

const rates = [8000, 16_000, 24_000, 32_000, 48_000];

function sine(hz: number, sampleRate: number, seconds: number): Int16Array {
  return Int16Array.from({ length: sampleRate * seconds }, (_none, at) =>
    Math.round(8000 * Math.sin((2 * Math.PI * hz * at) / sampleRate)),
  );
}

/** How often the signal goes through zero upwards, per second. */
function pitchOf(samples: Int16Array, sampleRate: number): number {
  let crossings = 0;
  for (let at = 1; at < samples.length; at++)
    if ((samples[at - 1] ?? 0) < 0 && (samples[at] ?? 0) >= 0) crossings++;
  return (crossings * sampleRate) / samples.length;
}

await t.test('the beep is the same tone at every rate, without an edge', async (t) => {
  const { beep } = await readPrompts({});
  for (const rate of rates) {
    const samples = promptAt(beep, rate) ?? new Int16Array();
    t.equal(samples.length, rate * 0.4);
    t.ok(Math.abs(pitchOf(samples, rate) - 1400) < 10, `${rate} Hz`);
    t.ok(Math.abs(samples[1] ?? NaN) < 100);
    t.ok(Math.abs(samples.at(-1) ?? NaN) < 700);
  }
  t.equal(promptAt(beep, 11_025), undefined);
  t.equal(promptAt(undefined, 8000), undefined);
});

await t.test('a prompt is read once and had at every rate', async (t) => {
  const file = join(t.testdir({}), 'consent.wav');
  await writeWav(file, { sampleRate: 16_000, channels: [sine(300, 16_000, 2)] });
  const { consent } = await readPrompts({ consent: { file, samples: {} } });
  for (const rate of rates) {
    const samples = promptAt(consent, rate) ?? new Int16Array();
    t.ok(Math.abs(samples.length - 2 * rate) < rate / 100, `${rate} Hz`);
    t.ok(Math.abs(pitchOf(samples, rate) - 300) < 5);
  }
  const first = promptAt(consent, 8000);
  first?.fill(0);
  t.ok(
    promptAt(consent, 8000)?.some((sample) => sample !== 0),
    'whoever takes it has a copy',
  );
});

await t.test('one that can’t be read, or is too long, is a mistake of the configuration', async (t) => {
  const dir = t.testdir({ 'noise.wav': 'RIFF but nothing else', 'text.txt': 'hello' });
  const long = join(dir, 'long.wav');
  await writeWav(long, { sampleRate: 8000, channels: [new Int16Array(31 * 8000)] });
  for (const [file, says] of [
    [join(dir, 'missing.wav'), /prompts\.consent.*missing\.wav/s],
    [join(dir, 'noise.wav'), /prompts\.consent/],
    [join(dir, 'text.txt'), /prompts\.consent.*text\.txt/s],
    [long, /31 s; give one of at most 30/],
  ] as const)
    await t.rejects(readPrompts({ consent: { file, samples: {} } }), {
      code: 'config_invalid',
      message: says,
    });
});
