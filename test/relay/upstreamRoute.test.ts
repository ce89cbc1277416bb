import { pino } from 'pino';
import t from 'tap';
import type { LiveKitAccount } from '../../src/config/Config.js';
import { twilioDialect } from '../../src/providers/twilio/dialect.js';
import { routeIntoRoom } from '../../src/relay/upstreamRoute.js';
import { account } from './fixtures/Relay.js';

const livekit: LiveKitAccount = {
  url: 'wss://livekit.example.com',
  apiKey: 'key',
  apiSecret: 'secret',
  rooms: ['acme-*'],
  departureSeconds: 20,
  sampleRate: 48_000,
};
const acme = account({ id: 'acme', livekit });
const rival = account({ id: 'rival', livekit: { ...livekit, rooms: ['rival-*'] } });

/** The room that a call is carried to, or why it isn't. */
function roomOf(url: string, room: string): string {
  const target = { url: 'ws://127.0.0.1:1', protocols: [], headers: {} };
  const bridges = {
    route: () => ({ target: () => target, redials: 0, meaning: () => null }),
  };
  const route = routeIntoRoom({
    url,
    dialect: twilioDialect,
    account: acme,
    accounts: [acme, rival],
    start: {
      kind: 'start',
      accountId: 'acme',
      callId: 'rival-call',
      streamId: null,
      sampleRate: 8000,
      channels: 1,
      tracks: ['caller'],
      from: null,
      to: null,
      direction: null,
      parameters: { room },
      warnings: [],
    },
    bridges,
    log: pino({ level: 'silent' }),
  });
  try {
    return route.target().url;
  } catch (error) {
    return (error as Error).message;
  }
}

await t.test('a call doesn’t choose a room that another account of the project has recorded', (t) => {
  t.match(roomOf('livekit://{room}', 'rival-1'), /another account/);
  t.match(roomOf('livekit://rival-{room}', '1'), /another account/);
  t.match(roomOf('livekit://{room}', 'acme-1'), /^ws:/);
  t.match(roomOf('livekit://{room}', 'nobodys'), /^ws:/);
  t.match(roomOf('livekit://{callId}', ''), /^ws:/, 'what is configured is');
  t.end();
});
