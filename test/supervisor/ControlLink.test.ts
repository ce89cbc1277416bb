import t from 'tap';
import type { AccountConfig } from '../../src/config/Config.js';
import type { PlainRequest, ToControl } from '../../src/control/ControlMessage.js';
import { ControlLink } from '../../src/supervisor/ControlLink.js';

const request: PlainRequest = {
  method: 'GET',
  url: '/',
  headers: {},
  body: Buffer.alloc(0),
  remoteAddress: '',
};
const account = { id: 'far' } as AccountConfig;

void t.test(
  'a question about an account outlives the thread that was asked; a request does not',
  async (t) => {
    const posted: ToControl[] = [];
    const link = new ControlLink((message) => void posted.push(message));
    const found = link.findAccount('far');
    const answered = link.ask(request);
    t.match(posted, [{ type: 'lookup', accountId: 'far' }, { type: 'http' }]);
    link.lost();
    t.equal((await answered).status, 503);
    link.askAgain();
    t.equal(posted.length, 3);
    t.same(posted[2], posted[0], 'the successor is asked the same');
    const [lookup] = posted;
    const id = lookup?.type === 'lookup' ? lookup.id : -1;
    link.found(id, account);
    t.equal(await found, account);
    link.found(id, null);
    link.askAgain();
    t.equal(posted.length, 3, 'what was answered is not asked again');
  },
);

void t.test('questions are bounded', async (t) => {
  const ids: number[] = [];
  const link = new ControlLink((message) => message.type === 'lookup' && ids.push(message.id));
  const all = Array.from({ length: 257 }, (_none, index) => link.findAccount(`a${index}`));
  t.equal(await all.at(-1), 'unavailable');
  t.equal(ids.length, 256);
  for (const id of ids) link.found(id, null);
  t.equal((await Promise.all(all)).filter((found) => found === null).length, 256);
});
