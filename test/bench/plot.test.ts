import t from 'tap';
import { plot } from '../../bench/peers/plot.js';
import { result, row } from './results.js';

/** Names of elements in the order in which they open. @throws Error when elements, attributes or texts aren't well-formed */
function elements(xml: string): string[] {
  const open: string[] = [];
  const seen: string[] = [];
  let rest = xml.trim();
  while (rest !== '') {
    const tag = /^<(\/?)([a-z]+)((?: [a-zA-Z0-9-]+="[^"<&]*")*)(\/?)>/.exec(rest);
    const text = /^(?:[^<&]|&(?:amp|lt|gt);)+/.exec(rest);
    if (tag !== null) {
      const [, slash, name = '', , end] = tag;
      if (slash === '/') {
        if (open.pop() !== name) throw new Error(`</${name}> closes nothing`);
      } else {
        seen.push(name);
        if (end !== '/') open.push(name);
      }
    } else if (text === null || (open.length === 0 && text[0].trim() !== '')) {
      throw new Error(`not XML: ${rest.slice(0, 40)}`);
    }
    rest = rest.slice((tag ?? text)?.[0].length ?? rest.length);
  }
  if (open.length > 0) throw new Error(`${open.join(', ')} not closed`);
  return seen;
}

const rows = [50, 200, 500].flatMap((calls) => [
  row({ subject: 'nginx', calls }),
  row({ subject: 'ws <&> more', calls, liveUs: 16, p99: 12, isOverloaded: calls === 500 }),
]);

void t.test('it is well-formed and finite, whatever subjects are called', (t) => {
  const svg = plot(result({ rows }), 'twilio');
  t.equal(elements(svg)[0], 'svg');
  t.notMatch(svg, /NaN|Infinity|undefined/);
  t.match(svg, 'ws &lt;&amp;&gt; more');
  t.end();
});

void t.test('each subject has a line in each panel, with a point for each row that it held', (t) => {
  const svg = plot(result({ rows }), 'twilio');
  const points = [...svg.matchAll(/points="([^"]*)"/g)].map(([, list = '']) => list.split(' ').length);
  t.same(points, [3, 2, 3, 2]);
  t.end();
});

void t.test('more CPU and later frames are higher up', (t) => {
  const svg = plot(result({ rows }), 'twilio');
  const lines = [...svg.matchAll(/points="([^"]*)"/g)].map(([, list = '']) => list);
  const [nginx = 0, ws = 0, nginxLate = 0, wsLate = 0] = lines.map((list) => Number(list.split(/[ ,]/)[1]));
  t.ok(ws < nginx, 'y grows downwards');
  t.ok(wsLate < nginxLate);
  t.end();
});

void t.test('nothing to show is drawn as well', (t) => {
  t.equal(elements(plot(result({}), 'jambonz'))[0], 'svg');
  t.end();
});
