import { readFileSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import { ApiBench } from '../fixtures/ApiBench.js';

const folder = new URL('../../../docs/monitoring/', import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, folder), 'utf8');

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}

/** Names of metrics in an expression, without what a histogram adds to them. */
function metricsIn(expression: string): string[] {
  return [...expression.matchAll(/\breelay_[a-z_]+/g)].map(([name]) =>
    name.replace(/_(?:bucket|sum|count)$/, ''),
  );
}

await t.test('whatever the dashboard and the alerts ask for is there', async (t) => {
  const bench = await ApiBench.start(t, t.testdir({}));
  const text = await (await bench.get('/metrics')).text();
  const known = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
  const { panels } = JSON.parse(read('grafana.json')) as { panels: Panel[] };
  const asked = panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => metricsIn(expr)));
  const { groups } = parse(read('alerts.yml')) as { groups: { rules: { expr: string }[] }[] };
  const watched = groups.flatMap(({ rules }) => rules.flatMap(({ expr }) => metricsIn(expr)));
  t.ok(asked.length > 30);
  t.ok(watched.length > 10);
  t.strictSame(
    [...new Set([...asked, ...watched])].filter((name) => !known.has(name)),
    [],
  );
});

await t.test('panels have ids of their own and do not lie on one another', (t) => {
  const { panels } = JSON.parse(read('grafana.json')) as { panels: Panel[] };
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  const taken = new Set<string>();
  for (const { title, gridPos } of panels)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        t.notOk(taken.has(`${x} ${y}`) || x >= 24, `${title} at ${x}, ${y}`);
        taken.add(`${x} ${y}`);
      }
  t.end();
});
