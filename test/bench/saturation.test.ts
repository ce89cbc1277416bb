import t from 'tap';
import { saturation, type Search } from '../../bench/peers/saturation.js';

const search: Search = { first: 100, least: 5, most: 4000, precision: 0.04, hasTime: () => true };

/** Something that holds so many calls, and what it was asked about. */
function holder(capacity: number): { probe: (calls: number) => Promise<boolean>; asked: number[] } {
  const asked: number[] = [];
  const probe = (calls: number): Promise<boolean> => {
    asked.push(calls);
    return Promise.resolve(calls <= capacity);
  };
  return { probe, asked };
}

void t.test('it is found from any guess, in few probes, each number once', async (t) => {
  for (const capacity of [5, 6, 31, 255, 500, 1238, 3999]) {
    for (const first of [5, 30, 100, 1000, 4000]) {
      const { probe, asked } = holder(capacity);
      const { holds, fails } = await saturation(probe, { ...search, first });
      const name = `${capacity} from ${first}`;
      t.ok(
        holds <= capacity && fails !== null && capacity < fails,
        `${name} lies between ${holds} and ${fails}`,
      );
      t.ok((fails ?? 0) - holds <= Math.max(1, 0.04 * holds), `${name} is found closely`);
      t.equal(new Set(asked).size, asked.length, `${name}: no number twice`);
      t.ok(asked.length <= 32, `${name}: ${asked.length} probes`);
    }
  }
});

void t.test('what holds the most that may be tried has no upper end', async (t) => {
  t.same(await saturation(holder(10_000).probe, search), { holds: 4000, fails: null });
});

void t.test('what holds not even the least holds nothing', async (t) => {
  t.same(await saturation(holder(0).probe, search), { holds: 0, fails: 5 });
});

void t.test('when time is over, what was found by then counts', async (t) => {
  const { probe, asked } = holder(1238);
  const found = await saturation(probe, { ...search, hasTime: () => asked.length < 3 });
  t.equal(asked.length, 3);
  t.same(found, { holds: asked[2], fails: null });
});

void t.test('a guess outside of what may be tried is moved inside', async (t) => {
  const { probe, asked } = holder(20);
  await saturation(probe, { ...search, first: 1_000_000 });
  t.equal(asked[0], 4000);
});
