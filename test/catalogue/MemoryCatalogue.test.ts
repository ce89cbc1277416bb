import { setFlagsFromString } from 'node:v8';
import { runInThisContext } from 'node:vm';
import t from 'tap';
import { entryOf } from '../../src/catalogue/Catalogue.js';
import type { Manifest } from '../../src/spool/Manifest.js';
import { entry } from './fixtures/entry.js';

/** Each entry used to have a hidden class of its own, 600 bytes beside the 500 of the entry. */
void t.test('entries of all recordings share one shape in memory', (t) => {
  setFlagsFromString('--allow-natives-syntax');
  const haveOneShape = runInThisContext('(a, b) => %HaveSameMap(a, b)') as (a: object, b: object) => boolean;
  const entries = Array.from({ length: 300 }, (_, index) => {
    const more = {
      from: index % 2 === 0 ? null : '+4930123',
      samples: index * 100,
      durationSeconds: index / 3,
    };
    const manifest = {
      ...entry(String(index), index, more),
      channels: [{ role: 'caller' }, { role: 'bot' }],
    };
    return entryOf(JSON.parse(JSON.stringify(manifest)) as Manifest, `AC1/${index}`);
  });
  const changes = entries.filter((each, index) => !haveOneShape(each, entries[index - 1] ?? each)).length;
  // The first ones tell which numbers are whole.
  t.ok(changes < 10, `${changes} changes of shape in ${entries.length} entries`);
  t.end();
});
