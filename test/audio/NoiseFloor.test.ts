import t from 'tap';
import { dbfsOf, meanSquareOf } from '../../src/audio/Decibels.js';
import { kernels } from '../../src/audio/kernels.js';
import { NoiseFloor } from '../../src/audio/NoiseFloor.js';
import { SpeechDetector } from '../../src/audio/SpeechDetector.js';
import { noiseOf } from './fixtures/testSignal.js';

/** Power of each frame of 10 ms at 8 kHz. */
function powersOf(pcm: Int16Array): Float64Array {
  const powers = new Float64Array(pcm.length / 80);
  kernels.energies(pcm, 80, powers);
  return powers;
}

function hearAll(floor: NoiseFloor, powers: Iterable<number>): number {
  for (const power of powers) floor.hear(power);
  return dbfsOf(floor.power);
}

await t.test('levels are told against full scale', (t) => {
  t.equal(dbfsOf(32_768 ** 2), 0);
  t.equal(dbfsOf(0), -Infinity);
  t.ok(Math.abs(dbfsOf(meanSquareOf(-23.4)) + 23.4) < 1e-9);
  t.end();
});

await t.test('after the window it is the noise of the line, a little below its mean', (t) => {
  for (const level of [-55, -50, -45, -40]) {
    const heard = hearAll(new NoiseFloor(), powersOf(noiseOf(10 * 8000, level)));
    t.ok(heard < level && heard > level - 1.5, `${heard.toFixed(2)} dBFS for ${level}`);
  }
  t.end();
});

await t.test('it is neither lower nor higher than noise can be', (t) => {
  t.ok(Math.abs(hearAll(new NoiseFloor(), powersOf(noiseOf(80_000, -80))) + 59) < 1e-9);
  t.ok(Math.abs(hearAll(new NoiseFloor(), powersOf(noiseOf(80_000, -10))) + 36) < 1e-9);
  t.ok(Math.abs(dbfsOf(new NoiseFloor().power) + 45) < 1e-9, 'before anything was heard');
  t.end();
});

await t.test('it falls at once, and rises after three seconds', (t) => {
  const floor = new NoiseFloor();
  hearAll(floor, powersOf(noiseOf(40_000, -40)));
  const quiet = hearAll(floor, powersOf(noiseOf(2400, -55, 2)));
  t.ok(quiet < -50, `${quiet.toFixed(2)} dBFS after 300 ms`);
  const still = hearAll(floor, powersOf(noiseOf(20_000, -40, 3)));
  t.ok(still < -50, `${still.toFixed(2)} dBFS after 2.5 s`);
  const loud = hearAll(floor, powersOf(noiseOf(8000, -40, 4)));
  t.ok(loud > -41.5, `${loud.toFixed(2)} dBFS after 3.5 s`);
  t.end();
});

await t.test('where nothing was recorded it hears nothing', (t) => {
  const floor = new NoiseFloor();
  const before = hearAll(floor, powersOf(noiseOf(40_000, -42)));
  t.equal(hearAll(floor, new Float64Array(1000)), before);
  t.end();
});

await t.test('it takes more to begin to speak than to go on', (t) => {
  const line = powersOf(noiseOf(40_000, -50));
  const detector = new SpeechDetector();
  t.notOk(
    line.some((power) => detector.hear(power)),
    'a line without speech',
  );
  const floor = -50.7;
  const says = (above: number) => detector.copy().hear(meanSquareOf(floor + above));
  t.ok(says(10));
  t.notOk(says(7));
  t.ok(detector.hear(meanSquareOf(floor + 15)));
  t.ok(says(7), 'goes on');
  t.notOk(says(3), 'ends');
  t.notOk(detector.hear(meanSquareOf(floor + 3)));
  t.notOk(says(7), 'does not begin again');
  t.end();
});
