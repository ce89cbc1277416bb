/**
 * What one frame costs on the live path: a real media server with real sockets, provider, relay and bot in one process, as
 * fast as they go. Prints frames per second, CPU time per frame of the whole process, and the relay's own latency, for
 * each dialect, with the sockets' cost alone (provider → bot without a relay) as the baseline.
 *
 *     npm run build:test && node build/bench/relay.js [frames]
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import WebSocket, { WebSocketServer } from 'ws';
import type { Config } from '../src/config/Config.js';
import { jambonzStart } from '../src/providers/jambonz/messages.js';
import { twilioConnected, twilioMedia, twilioStart } from '../src/providers/twilio/messages.js';
import { MediaServer } from '../src/relay/MediaServer.js';
import { Counters } from '../src/tap/Counters.js';
import { silentCall } from '../src/relay/SilentTap.js';

const frames = Number(process.argv[2] ?? 100_000);
/** Frames sent before the sockets are given a turn. */
const batch = 50;

interface Feed {
  readonly opening: readonly string[];
  readonly frame: (index: number) => string | Buffer;
}

const feeds: Record<'twilio' | 'jambonz', Feed> = {
  twilio: {
    opening: [
      twilioConnected(),
      twilioStart({ accountSid: 'AC1', callSid: 'CA1', streamSid: 'MZ1', sequenceNumber: 1 }),
    ],
    frame: (index) =>
      twilioMedia({
        streamSid: 'MZ1',
        sequenceNumber: index + 2,
        chunk: index + 1,
        timestamp: index * 20,
        payload: Buffer.alloc(160, index),
      }),
  },
  jambonz: {
    opening: [jambonzStart({ sampleRate: 16_000, mixType: 'stereo', callSid: 'c', accountSid: 'AC1' })],
    frame: (index) => Buffer.alloc(1280, index),
  },
};

const bot = new WebSocketServer({
  port: 0,
  host: '127.0.0.1',
  perMessageDeflate: false,
  handleProtocols: () => false,
});
await once(bot, 'listening');
const botUrl = `ws://127.0.0.1:${(bot.address() as AddressInfo).port}`;

for (const dialect of ['twilio', 'jambonz'] as const) {
  const alone = await drive(feeds[dialect], botUrl);
  const { server, counters, port } = await startRelay();
  const relayed = await drive(feeds[dialect], `ws://127.0.0.1:${port}/${dialect}`);
  await server.close();
  report(dialect, alone, relayed, counters);
}
bot.close();

interface Cost {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

async function drive({ opening, frame }: Feed, url: string): Promise<Cost> {
  const prepared = Array.from({ length: 1000 }, (_, index) => frame(index));
  const connected = once(bot, 'connection') as Promise<[WebSocket]>;
  const caller = new WebSocket(url, { perMessageDeflate: false });
  await once(caller, 'open');
  for (const message of opening) caller.send(message);
  const [receiver] = await connected;
  let received = 0;
  const all = new Promise<void>((resolve) => {
    receiver.on('message', () => {
      if (++received === frames + opening.length) resolve();
    });
  });
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  for (let sent = 0; sent < frames; sent += batch) {
    for (let index = sent; index < Math.min(sent + batch, frames); index++) {
      caller.send(prepared[index % prepared.length] ?? '');
    }
    do await new Promise(setImmediate);
    while (sent - received > 4 * batch);
  }
  await all;
  const used = process.cpuUsage(cpu);
  caller.close(1000);
  return {
    seconds: (performance.now() - startMs) / 1000,
    cpuSeconds: (used.user + used.system) / 1e6,
  };
}

async function startRelay(): Promise<{ server: MediaServer; counters: Counters; port: number }> {
  const counters = new Counters();
  const server = new MediaServer({
    config: config(),
    tap: { startCall: () => silentCall, clock: () => undefined },
    counters,
    tokenKey: Buffer.alloc(32),
    log: pino({ level: 'silent' }),
    answer: () => Promise.resolve({ status: 404, headers: {}, body: '' }),
    threads: () => ({ media: 'ready', recorder: 'ready', control: 'ready' }),
  });
  return { server, counters, ...(await server.listen()) };
}

function report(dialect: string, alone: Cost, relayed: Cost, counters: Counters): void {
  const { to_bot: latency } = counters.latency;
  const [p99, p999] = [0.99, 0.999].map((share) => latency.quantileSince(null, share));
  const { sum, count } = latency.read({ fromUs: 16, toUs: 16, perDoubling: 1 });
  const perFrame = (cost: Cost): string => `${((cost.cpuSeconds / frames) * 1e6).toFixed(1)} µs`;
  console.log(
    [
      dialect.padEnd(8),
      `${Math.round(frames / relayed.seconds)} frames/s`,
      `CPU per frame ${perFrame(relayed)} with the relay, ${perFrame(alone)} without`,
      `event to send: mean ${((sum / count) * 1e6).toFixed(1)} µs, p99 ≤ ${microseconds(p99)}, p99.9 ≤ ${microseconds(p999)}`,
    ].join(' · '),
  );
}

function microseconds(ms: number | undefined): string {
  return `${((ms ?? Infinity) * 1000).toFixed(0)} µs`;
}

function config(): Config {
  return {
    media: { host: '127.0.0.1', port: 0, publicUrl: null, drainSeconds: 0, fastPath: false, realtime: false },
    control: { host: '127.0.0.1', port: 0, adminKeys: [], linkSecret: null },
    spool: { dir: '/nowhere', maxBytes: 1, flushMs: 100, minFreeBytes: null, syncMs: 500 },
    recording: {
      chunkSeconds: 60,
      channels: 'dual',
      layout: 'chunks',
      stalledMinutes: 5,
      signingKeyFile: null,
      dtmf: 'keep',
    },
    prompts: {},
    recordEndpoint: { credentials: [], layout: 'jambonz', timeZone: 'UTC' },
    accountLookup: null,
    catalogue: { url: 'sqlite::memory:' },
    limits: {
      calls: 500,
      pendingStreams: 200,
      startTimeoutMs: 10_000,
      upstreamQueueMs: 10_000,
      upstreamBufferBytes: 16 * 1024 * 1024,
      providerBufferBytes: 16 * 1024 * 1024,
      ringBytes: 1024,
      stalledMs: 10_000,
      loopDelayMs: 60_000,
      bridgedCallsPerProcess: 20,
      bridgeProcesses: 4,
      downloadBytesPerSecond: 64 * 1024 * 1024,
      memoryBytes: null,
      roomsPerProcess: 4,
      lanesPerRoom: 50,
      roomProcesses: 16,
    },
    log: { level: 'silent' },
    tracing: { endpoint: null, headers: {}, serviceName: 'reelay' },
    accounts: [
      {
        id: '*',
        upstream: { twilio: botUrl, jambonz: botUrl },
        onUpstreamLoss: 'close',
        resumeSeconds: 0,
        twilio: { authTokens: [], requireToken: false },
        jambonz: {
          credentials: [],
          returns: 'streaming',
          returnSampleRate: null,
          legSampleRate: 8000,
          recordFormat: 'mp3',
        },
        livekit: null,
        store: { type: 'file', dir: '/nowhere' },
        apiKeys: [],
        webhooks: [],
        retentionDays: null,
        record: 'always',
        prompt: null,
      },
    ],
  };
}
