import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { LoadBot } from '../../bench/load/LoadBot.js';
import { type LoadOrder, type LoadReport, placeCalls } from '../../bench/load/placeCalls.js';
import { loadProgram } from '../../bench/load/loadProgram.js';

/* The load must see what a relay does to frames, or the bench would praise any. Without a compiler there is no load, and it says so. */

const compiler = process.env['CC'] ?? 'cc';
const hasCompiler = spawnSync(compiler, ['--version'], { stdio: 'ignore' }).status === 0;

const order: Omit<LoadOrder, 'port'> = {
  path: '/twilio',
  dialect: 'twilio',
  calls: 5,
  core: null,
  connectMs: 10_000,
  settleMs: 100,
  windowMs: 500,
  drainMs: 2000,
};

void t.test('a compiler that is not there is named', (t) => {
  const { CC } = process.env;
  process.env['CC'] = 'no-such-compiler';
  t.teardown(() => {
    if (CC === undefined) delete process.env['CC'];
    else process.env['CC'] = CC;
  });
  t.throws(() => loadProgram(join(t.testdir(), 'load')), {
    message: /no-such-compiler .*install a C compiler/,
  });
  t.end();
});

if (hasCompiler) void t.test('with a compiler', { jobs: 2 }, withCompiler);

/** What a relay does with a message of the bot's: what the caller gets instead, in order. */
type Treatment = (message: Buffer, at: number, isBinary: boolean) => readonly Buffer[];

function withCompiler(t: Test): void {
  loadProgram();

  void t.test('every frame comes back from the bot, in both dialects', async (t) => {
    const bot = await botFor(t);
    for (const dialect of ['twilio', 'jambonz'] as const) {
      const report = await placeCalls({ ...order, port: bot.port, dialect });
      t.match(report, {
        up: 5,
        lost: 0,
        misplaced: 0,
        foreign: 0,
        outstanding: 0,
        refused: 0,
        cut: 0,
        skipped: 0,
      });
      t.equal(report.received, report.sent);
      t.ok(report.windowSent > 0);
      t.equal(report.roundTrip.total, report.windowSent);
      t.ok(report.roundTrip.quantile(0.5) > 0);
      const [largest, most] = [report.roundTrip.quantile(1), report.roundTrip.max / 1000];
      t.ok(largest <= most && largest >= 0.99 * most, 'its buckets are those that they are read as');
    }
  });

  void t.test('frames are put together from whatever pieces they come in', async (t) => {
    const bot = await botFor(t);
    const chopper = createServer((provider) => {
      const upstream = connect(bot.port, '127.0.0.1').setNoDelay(true);
      for (const [from, to] of [
        [provider, upstream],
        [upstream, provider],
      ] as const) {
        from.on('data', (data) => {
          for (let at = 0; at < data.length; at += 7) to.write(data.subarray(at, at + 7));
        });
        from.on('error', () => to.destroy());
        from.on('close', () => to.destroy());
      }
    }).listen(0, '127.0.0.1');
    await once(chopper, 'listening');
    t.teardown(() => chopper.close());
    const { port } = chopper.address() as AddressInfo;
    for (const dialect of ['twilio', 'jambonz'] as const) {
      const report = await placeCalls({ ...order, port, dialect });
      t.match(report, { up: 5, lost: 0, misplaced: 0, foreign: 0, outstanding: 0, cut: 0 });
    }
  });

  void t.test('a frame that is left out is lost, and nothing else is', async (t) => {
    const report = await through(t, (message, at) => (at === 10 ? [] : [message]));
    t.match(report, { lost: 5, misplaced: 0, foreign: 0, received: report.sent - 5 });
  });

  void t.test('a frame behind a later one is misplaced', async (t) => {
    let kept: Buffer = Buffer.alloc(0);
    const report = await through(
      t,
      (message, at) => {
        if (at !== 10) return at === 11 ? [message, kept] : [message];
        kept = message;
        return [];
      },
      1,
    );
    t.match(report, { misplaced: 1, foreign: 0 });
  });

  void t.test('a frame that comes twice is misplaced', async (t) => {
    const report = await through(t, (message, at) => (at === 10 ? [message, message] : [message]));
    t.match(report, { misplaced: 5, lost: 0, foreign: 0 });
  });

  void t.test('a frame with another byte in it is foreign, and its number is missed', async (t) => {
    const report = await through(t, (message, at) => {
      if (at !== 10) return [message];
      const changed = Buffer.from(message);
      const last = changed.lastIndexOf('"}}') - 1;
      changed[last] = changed[last] === 65 ? 66 : 65;
      return [changed];
    });
    t.match(report, { foreign: 5, lost: 5, misplaced: 0 });
  });

  void t.test('frames that never come back are outstanding, and late', async (t) => {
    const report = await through(t, (message, at) => (at >= 10 ? [] : [message]), 1, { drainMs: 300 });
    t.match(report, { lost: 0, misplaced: 0, cut: 0 });
    t.equal(report.outstanding, report.sent - 10);
    t.ok(report.roundTrip.quantile(0.99) >= 300, 'they took at least as long as they were waited for');
  });

  void t.test('a refused call and one that is cut are told apart', async (t) => {
    const refusing = createServer((socket) => socket.end('HTTP/1.1 503 Service Unavailable\r\n\r\n'));
    refusing.listen(0, '127.0.0.1');
    await once(refusing, 'listening');
    t.teardown(() => refusing.close());
    const { port } = refusing.address() as AddressInfo;
    t.match(await placeCalls({ ...order, port }), { up: 0, refused: 5, cut: 0, sent: 0 });
    const report = await through(t, (message, at) => (at === 10 ? [Buffer.alloc(0)] : [message]), 1);
    t.match(report, { up: 1, refused: 0, cut: 1 });
  });

  void t.test('a recorder is sent frames, and answers pings', async (t) => {
    const recorder = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(recorder, 'listening');
    t.teardown(() => recorder.close());
    const lengths = new Set<number>();
    recorder.on('connection', (socket) => {
      socket.on('message', (data: Buffer, isBinary) => {
        if (isBinary) lengths.add(data.length);
      });
    });
    const { port } = recorder.address() as AddressInfo;
    const report = await placeCalls({
      ...order,
      port,
      path: '/record/aws_s3',
      dialect: 'record',
      windowMs: 1000,
    });
    t.match(report, { up: 5, received: 0, outstanding: 0, cut: 0 });
    t.same([...lengths], [640], '20 ms of 8 kHz stereo');
    t.ok(report.roundTrip.total > 0);
  });

  void t.test('a recorder that stops reading is late, though nothing comes back from it', async (t) => {
    const recorder = createServer((socket) => {
      socket.once('data', (request) => {
        const key = /sec-websocket-key: (\S+)/i.exec(request.toString('latin1'))?.[1] ?? '';
        const accept = createHash('sha1')
          .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
          .digest('base64');
        const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
        socket.write(`${head.join('\r\n')}\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
        socket.pause();
      });
      socket.on('error', () => undefined);
    }).listen(0, '127.0.0.1');
    await once(recorder, 'listening');
    t.teardown(() => recorder.close());
    const { port } = recorder.address() as AddressInfo;
    const report = await placeCalls({ ...order, port, dialect: 'record', windowMs: 600, drainMs: 300 });
    t.match(report, { up: 5, cut: 0 });
    t.ok(report.outstanding > 0);
    t.ok(report.roundTrip.quantile(0.99) >= 300);
  });

  void t.test('a silent call says one frame', async (t) => {
    const bot = await botFor(t);
    const report = await placeCalls({ ...order, port: bot.port, isIdle: true, sources: 3 });
    t.match(report, { up: 5, sent: 5, received: 5, lost: 0, cut: 0 });
  });
  t.end();
}

async function botFor(t: Test): Promise<LoadBot> {
  const bot = await LoadBot.start(null);
  t.teardown(() => bot.stop());
  return bot;
}

/** Calls through a relay that treats the bot's messages in its own way; an empty one makes it cut the call. */
async function through(
  t: Test,
  treat: Treatment,
  calls = order.calls,
  more: Partial<LoadOrder> = {},
): Promise<LoadReport> {
  const bot = await botFor(t);
  const relay = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(relay, 'listening');
  t.teardown(() => relay.close());
  relay.on('connection', (caller) => {
    const upstream = new WebSocket(`ws://127.0.0.1:${bot.port}`);
    const early: Buffer[] = [];
    let at = 0;
    caller.on('message', (data: Buffer) => {
      if (upstream.readyState === WebSocket.OPEN) upstream.send(data, { binary: false });
      else early.push(data);
    });
    upstream.on('open', () => early.forEach((data) => upstream.send(data, { binary: false })));
    upstream.on('message', (data: Buffer, isBinary) => {
      for (const message of treat(data, at++, isBinary)) {
        if (message.length === 0) caller.terminate();
        else caller.send(message, { binary: isBinary });
      }
    });
    caller.on('error', () => undefined);
    upstream.on('error', () => undefined);
    caller.on('close', () => upstream.terminate());
  });
  const { port } = relay.address() as AddressInfo;
  return await placeCalls({ ...order, port, calls, ...more });
}
