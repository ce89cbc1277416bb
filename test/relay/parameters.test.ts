import t from 'tap';
import { publicParameters } from '../../src/relay/parameters.js';

await t.test('what looks like a secret is left out at any depth, the rest stays as it came', (t) => {
  const headers = { 'X-Note': 'a', Authorization: 'Digest x', 'Proxy-Authorization': 'y' };
  const kept = publicParameters({
    reelayToken: 'r1',
    apiKey: 'k',
    from: '+1',
    nested: { list: [{ password: 'p', n: 1 }], clientSecret: 's', headers },
    nothing: null,
  });
  t.same(kept, { from: '+1', nested: { list: [{ n: 1 }], headers: { 'X-Note': 'a' } }, nothing: null });
  t.end();
});

await t.test('a value nested beyond reason is left out', (t) => {
  let deep: unknown = 'bottom';
  for (let level = 0; level < 10_000; level++) deep = { deep };
  t.notMatch(JSON.stringify(publicParameters({ deep, from: '+1' })), 'bottom');
  t.end();
});
