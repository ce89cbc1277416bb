import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { ProviderBuffers } from '../../src/relay/ProviderBuffers.js';
import { until } from './fixtures/until.js';

const MiB = 1024 * 1024;

void t.test('providers that stop reading together share what one alone may have', async (t) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  await once(server, 'listening');
  const buffers = new ProviderBuffers();
  const readers: WebSocket[] = [];
  const providers: WebSocket[] = [];
  t.teardown(() => {
    for (const reader of readers) reader.terminate();
    server.close();
  });
  for (let index = 0; index < 4; index++) {
    const accepted = once(server, 'connection') as Promise<[WebSocket]>;
    const reader = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    readers.push(reader);
    await once(reader, 'open');
    reader.pause();
    const [provider] = await accepted;
    providers.push(provider);
    buffers.watch(provider);
  }
  buffers.tick(8 * MiB);
  t.equal(buffers.limitOf(16 * MiB), 16 * MiB, 'while nothing waits');
  for (const provider of providers) provider.send(Buffer.alloc(12 * MiB));
  await until(() => providers.every(({ bufferedAmount }) => bufferedAmount > 4 * MiB), 'the bytes to wait');
  buffers.tick(8 * MiB);
  t.equal(buffers.limitOf(16 * MiB), 2 * MiB, 'an equal share of the budget');
  t.equal(buffers.limitOf(MiB), MiB, 'and never more than its own');
  buffers.tick(8 * MiB, { bytes: 0, sockets: 4 });
  t.equal(buffers.limitOf(16 * MiB), MiB, 'those that somebody else counts have a share, too');
  t.equal(buffers.shareBytes, MiB);
  buffers.tick(1000);
  t.equal(buffers.limitOf(16 * MiB), 64 * 1024, 'some seconds of audio in any case');
  for (const reader of readers) reader.terminate();
  await until(() => providers.every(({ readyState }) => readyState === WebSocket.CLOSED), 'them to be gone');
  buffers.tick(1000);
  t.equal(buffers.limitOf(16 * MiB), 16 * MiB, 'when they are gone');
  buffers.tick(8 * MiB, { bytes: 9 * MiB, sockets: 2 });
  t.equal(buffers.limitOf(16 * MiB), 4 * MiB, 'what waits elsewhere counts alone as well');
});
