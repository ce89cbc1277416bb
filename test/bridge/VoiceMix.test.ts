import t from 'tap';
import { VoiceMix } from '../../src/bridge/VoiceMix.js';

function frame(value: number, length = 4): Int16Array {
  return new Int16Array(length).fill(value);
}

function mixed(): { readonly mix: VoiceMix; readonly given: number[][] } {
  const given: number[][] = [];
  return { mix: new VoiceMix((samples) => given.push([...samples])), given };
}

await t.test('a lone voice passes through', (t) => {
  const { mix, given } = mixed();
  mix.add(1);
  for (const value of [1, 2, 3]) mix.hear(1, frame(value));
  t.strictSame(
    given,
    [1, 2, 3].map((value) => [...frame(value)]),
  );
  mix.hear(9, frame(9));
  t.equal(given.length, 3, 'one that is not there is not heard');
  t.end();
});

await t.test('several voices are one, frame by frame, and saturate', (t) => {
  const { mix, given } = mixed();
  for (const voice of [1, 2, 3]) mix.add(voice);
  for (const value of [100, 30_000]) {
    mix.hear(2, frame(value));
    mix.hear(3, frame(value + 1));
    mix.hear(1, frame(value + 2));
  }
  t.strictSame(given, [[...frame(303)], [...frame(32_767)]]);
  t.end();
});

await t.test('a voice that stops without a word takes nobody with it', (t) => {
  const { mix, given } = mixed();
  mix.add(1);
  mix.add(2);
  for (let i = 1; i <= 10; i++) mix.hear(2, frame(i));
  t.same(
    given.map(([first]) => first),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    'and what waited is heard',
  );
  t.end();
});

await t.test('the next one leads when the first has gone', (t) => {
  const { mix, given } = mixed();
  mix.add(1);
  mix.add(2);
  mix.hear(1, frame(1));
  mix.remove(1);
  mix.hear(2, frame(2));
  t.same(
    given.map(([first]) => first),
    [1, 2],
  );
  mix.remove(2);
  mix.hear(2, frame(3));
  t.equal(given.length, 2);
  t.equal(mix.size, 0);
  t.end();
});
