import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import WebSocket, { WebSocketServer } from 'ws';
import { Heartbeats } from '../../src/relay/Heartbeats.js';
import { WsSocket } from '../../src/relay/WsSocket.js';

/** A server's socket that writes its messages itself, and its client. */
async function pair(t: {
  teardown: (fn: () => void) => void;
}): Promise<{ own: WsSocket; near: WebSocket; far: WebSocket }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  await once(server, 'listening');
  const far = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  far.on('error', () => undefined);
  const [near, request] = (await once(server, 'connection')) as [WebSocket, IncomingMessage];
  await once(far, 'open');
  t.teardown(() => {
    far.terminate();
    server.close();
  });
  const own = new WsSocket(near, new Heartbeats());
  own.writeTo(request.socket);
  return { own, near, far };
}

await t.test(
  'messages of every length of a header arrive as they were sent, among frames of ws',
  async (t) => {
    const { own, near, far } = await pair(t);
    const got: { data: Buffer; isBinary: boolean }[] = [];
    far.on('message', (data, isBinary) => got.push({ data: data as Buffer, isBinary }));
    const closed = once(far, 'close');
    const lengths = [0, 1, 125, 126, 127, 1024, 1025, 65_535, 65_536, 300_000, 330];
    const sent = lengths.map((length, index) => ({
      data: Buffer.alloc(length, 'abc'),
      isBinary: index % 2 === 0,
    }));
    for (const { data, isBinary } of sent) {
      own.send(data, isBinary);
      near.ping();
    }
    own.close(4000, 'over');
    const [code, reason] = (await closed) as [number, Buffer];
    t.strictSame([code, reason.toString()], [4000, 'over']);
    t.strictSame(got, sent);
  },
);

await t.test('what is sent to a socket that is closed is dropped, and told of by its callback', async (t) => {
  const { own, near, far } = await pair(t);
  const failures: unknown[] = [];
  own.listen({
    message: () => undefined,
    failed: (error) => failures.push(error),
    stalled: () => undefined,
    closed: () => undefined,
  });
  const closed = once(near, 'close');
  far.terminate();
  await closed;
  const error = await new Promise((resolve) => {
    own.send(Buffer.from('late'), false, (problem?: Error) => resolve(problem));
  });
  t.match(error, { message: /not open/ });
  t.strictSame(failures, []);
});
