import t from 'tap';
import { ShareLinks } from '../../src/control/api/ShareLinks.js';

const key = Buffer.alloc(32, 'k');
const shared = { recordingId: 'r1', accountId: 'AC1' };

/** What a request for a URL is routed by, and what its link opens. */
function routed(links: ShareLinks, url: string, nowMs = 0): { readonly to: string; readonly opens: unknown } {
  const request = { url };
  const to = links.routed(request, nowMs);
  return { to, opens: links.openedBy(request) };
}

void t.test('a link leads to its recording until it expires', (t) => {
  const links = new ShareLinks(() => key);
  const path = links.make(shared, 1000);
  t.match(path, /^\/shared\/[\w-]+\.[\w-]{43}\/audio\.wav$/);
  t.strictSame(routed(links, path, 999), { to: '/v1/recordings/r1/audio.wav', opens: shared });
  t.strictSame(routed(links, `${path}?channel=0&from=1.5s`), {
    to: '/v1/recordings/r1/audio.wav?channel=0&from=1.5s',
    opens: shared,
  });
  t.strictSame(routed(links, path.replace('audio.wav', 'segments.json')), {
    to: '/v1/recordings/r1/segments.json',
    opens: shared,
  });
  t.strictSame(routed(links, path, 1000), { to: path, opens: undefined }, 'over');
  t.end();
});

void t.test('nothing else is opened by it', (t) => {
  const links = new ShareLinks(() => key);
  const path = links.make(shared, 1000);
  const [, , token = ''] = path.split('/');
  const [text = '', signature = ''] = token.split('.');
  const forged = Buffer.from(JSON.stringify([1, 'r2', 'AC1', 1000])).toString('base64url');
  const others = [
    `/shared/${token}/manifest.json`,
    `/shared/${token}/`,
    `/shared/${token}`,
    `/shared/${token}/../audio.wav`,
    `/shared/${token}/..%2faudio.wav`,
    `/shared/${token}x/audio.wav`,
    `/shared/${text}/audio.wav`,
    `/shared/${text}./audio.wav`,
    `/shared/.${signature}/audio.wav`,
    `/shared/${forged}.${signature}/audio.wav`,
    `/shared/${token}.${signature}/audio.wav`,
    `/Shared/${token}/audio.wav`,
    `/shared/${'a'.repeat(5000)}.${signature}/audio.wav`,
  ];
  for (const url of others) t.strictSame(routed(links, url), { to: url, opens: undefined }, url.slice(0, 80));
  const withOther = new ShareLinks(() => Buffer.alloc(32, 'o'));
  t.strictSame(routed(withOther, path), { to: path, opens: undefined });
  t.end();
});

void t.test('a change of any one character closes it', (t) => {
  const links = new ShareLinks(() => key);
  const path = links.make(shared, 1000);
  const from = '/shared/'.length;
  const to = path.lastIndexOf('/');
  // The last character of the signature has two bits that mean nothing.
  for (let at = from; at < to - 1; at++) {
    const other = path[at] === 'A' ? 'B' : 'A';
    const url = path.slice(0, at) + other + path.slice(at + 1);
    t.equal(routed(links, url).opens, undefined, `at ${at}`);
  }
  t.end();
});
