import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import WebSocket, { WebSocketServer } from 'ws';
import { Heartbeats } from '../../src/relay/Heartbeats.js';

async function pair(
  t: { teardown: (fn: () => void) => void },
  autoPong: boolean,
): Promise<{ near: WebSocket; far: WebSocket }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const far = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, { autoPong });
  far.on('error', () => undefined);
  const [near] = (await once(server, 'connection')) as [WebSocket];
  await once(far, 'open');
  t.teardown(() => {
    far.terminate();
    server.close();
  });
  return { near, far };
}

/** Ticks once a second, as the media server does. */
function tick(heartbeats: Heartbeats, fromMs: number, toMs: number): void {
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += 1000) heartbeats.tick(nowMs);
}

await t.test('a peer that answers its ping lives, one that does not is terminated', async (t) => {
  const heartbeats = new Heartbeats();
  const answering = await pair(t, true);
  const silent = await pair(t, false);
  const startMs = performance.now() - 60_000;
  heartbeats.watch(answering.near, startMs);
  heartbeats.watch(silent.near, startMs);
  const answered = once(answering.near, 'pong');
  tick(heartbeats, startMs, startMs + 10_000);
  await answered;
  const closed = once(silent.near, 'close');
  tick(heartbeats, startMs + 11_000, startMs + 26_000);
  t.equal((await closed)[0], 1006);
  t.equal(answering.near.readyState, WebSocket.OPEN);
  t.equal(heartbeats.size, 1);
});

await t.test('a socket that is paused from here is not blamed for its silence', async (t) => {
  const heartbeats = new Heartbeats();
  const { near } = await pair(t, false);
  const startMs = performance.now();
  heartbeats.watch(near, startMs);
  near.pause();
  tick(heartbeats, startMs, startMs + 100_000);
  t.equal(near.readyState, WebSocket.OPEN);
  near.resume();
  const closed = once(near, 'close');
  tick(heartbeats, startMs + 101_000, startMs + 124_000);
  t.equal(near.readyState, WebSocket.OPEN);
  heartbeats.tick(startMs + 126_000);
  await closed;
  t.equal(heartbeats.size, 0);
});

await t.test(
  'after the process itself stood still, its peers are asked before they are taken for gone',
  async (t) => {
    const heartbeats = new Heartbeats();
    const answering = await pair(t, true);
    const silent = await pair(t, false);
    const startMs = performance.now() - 600_000;
    for (const { near } of [answering, silent]) heartbeats.watch(near, startMs);
    heartbeats.tick(startMs);
    const answered = once(answering.near, 'pong');
    heartbeats.tick(startMs + 60_000);
    await answered;
    t.equal(silent.near.readyState, WebSocket.OPEN);
    const closed = once(silent.near, 'close');
    tick(heartbeats, startMs + 61_000, startMs + 86_000);
    await closed;
    t.equal(answering.near.readyState, WebSocket.OPEN);
  },
);
