import { once } from 'node:events';
import { createServer, get, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { Turnstile } from '../../src/control/api/Turnstile.js';

/** Real answers, of requests whose clients go when they are told to. */
async function answers(t: Test): Promise<() => Promise<{ response: ServerResponse; go: () => void }>> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return async () => {
    const asked = get({ port, host: '127.0.0.1', agent: false });
    asked.on('error', () => undefined);
    const [, response] = (await once(server, 'request')) as [unknown, ServerResponse];
    return { response, go: () => void asked.destroy() };
  };
}

const full = { code: 'too_many_downloads' };

await t.test('one account has half of the places, and all together have all of them', async (t) => {
  const answer = await answers(t);
  const turnstile = new Turnstile(4);
  const enter = async (accountId: string) => {
    const { response, go } = await answer();
    turnstile.enter(response, accountId);
    return { response, go };
  };
  const first = await enter('AC1');
  const second = await enter('AC1');
  await t.rejects(enter('AC1'), full);
  await enter('AC2');
  await enter('AC3');
  await t.rejects(enter('AC4'), full);
  first.response.end();
  await once(first.response, 'close');
  await enter('AC1');
  await t.rejects(enter('AC1'), full);
  second.go();
  await once(second.response, 'close');
  await enter('AC4');
  await t.rejects(enter('AC1'), full);
});

await t.test('where there is one place, whoever comes first has it', async (t) => {
  const answer = await answers(t);
  const turnstile = new Turnstile(1);
  turnstile.enter((await answer()).response, 'AC1');
  const { response } = await answer();
  t.throws(() => turnstile.enter(response, 'AC2'), full);
});

await t.test('who has gone already takes no place', async (t) => {
  const answer = await answers(t);
  const turnstile = new Turnstile(2);
  for (let each = 0; each < 3; each++) {
    const { response, go } = await answer();
    go();
    await once(response, 'close');
    turnstile.enter(response, 'AC1');
  }
  turnstile.enter((await answer()).response, 'AC1');
});
