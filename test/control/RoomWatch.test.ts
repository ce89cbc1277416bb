import { createHash } from 'node:crypto';
import { AccessToken } from 'livekit-server-sdk';
import { pino } from 'pino';
import t from 'tap';
import type { AccountConfig, LiveKitAccount } from '../../src/config/Config.js';
import { ReelayError } from '../../src/config/ReelayError.js';
import type { LiveCall } from '../../src/control/ControlMessage.js';
import type { Alert } from '../../src/control/monitoring/Alerts.js';
import { RoomWatch, type AskedServer } from '../../src/control/rooms/RoomWatch.js';
import type { ServerRoom } from '../../src/rooms/RoomServer.js';
import type { RoomOutcome, RoomRequest } from '../../src/tap/RoomRequest.js';
import { account, config } from '../relay/fixtures/Relay.js';
import { until } from '../relay/fixtures/until.js';

const livekit: LiveKitAccount = {
  url: 'wss://livekit.example.com',
  apiKey: 'key',
  apiSecret: 'secret',
  rooms: ['support-*'],
  departureSeconds: 20,
  sampleRate: 48_000,
};

interface Scene {
  accounts: readonly AccountConfig[];
  readonly watch: RoomWatch;
  readonly asked: RoomRequest[];
  readonly alerts: string[];
  readonly calls: LiveCall[];
  readonly created: string[];
  /** What the server has, or says instead. */
  rooms: readonly ServerRoom[] | ReelayError;
  outcome: RoomOutcome;
}

function scene(change: Partial<LiveKitAccount> = {}, others: readonly AccountConfig[] = []): Scene {
  const acme = account({ id: 'acme', livekit: { ...livekit, ...change } });
  const accounts = [acme, account({ id: 'phones' }), ...others];
  const server: AskedServer = {
    rooms: async (names) => {
      await Promise.resolve();
      if (made.rooms instanceof ReelayError) throw made.rooms;
      return made.rooms.filter(({ name }) => names?.includes(name) !== false);
    },
    create: async (name) => {
      made.created.push(name);
      return await Promise.resolve({ name, sid: 'RM_new', participants: 0 });
    },
  };
  const made: Scene = {
    accounts,
    asked: [],
    alerts: [],
    calls: [],
    created: [],
    rooms: [],
    outcome: { recordingId: 'rec', callId: 'RM_1', recording: 'running', isNew: true },
    watch: new RoomWatch({
      config: () => config(made.accounts),
      calls: {
        get all() {
          return made.calls;
        },
      },
      record: async (request) => {
        made.asked.push(request);
        return await Promise.resolve(made.outcome);
      },
      alerts: {
        raise: (about: string, { code }: Alert) => made.alerts.push(`${about}: ${code}`),
        resolve: (about: string) => made.alerts.push(`${about}: over`),
      },
      log: pino({ level: 'silent' }),
      serverOf: () => server,
    }),
  };
  return made;
}

function short({ asked }: Scene): string[] {
  return asked.map(
    ({ account: { id }, name, sid, isAsked }) => `${id} ${name} ${sid}${isAsked ? ' asked' : ''}`,
  );
}

const peopled: ServerRoom[] = [
  { name: 'support-1', sid: 'RM_1', participants: 2 },
  { name: 'support-2', sid: 'RM_2', participants: 0 },
  { name: 'private', sid: 'RM_3', participants: 5 },
];

await t.test(
  'a look at the server has those rooms recorded that are wanted and have somebody in them',
  async (t) => {
    const room = scene();
    room.rooms = peopled;
    await room.watch.look();
    t.same(short(room), ['acme support-1 RM_1']);
  },
);

await t.test('main isn’t asked again about a room in which it has somebody', async (t) => {
  const room = scene();
  room.rooms = peopled;
  const live = (presence: 'joining' | 'audible'): LiveCall =>
    ({
      accountId: 'acme',
      room: { name: 'support-1', sid: 'RM_1', presence, lanes: [] },
    }) as unknown as LiveCall;
  room.calls.push(live('audible'));
  await room.watch.look();
  t.same(short(room), []);
  room.calls.splice(0, 1, live('joining'));
  await room.watch.look();
  t.same(short(room), ['acme support-1 RM_1'], 'one that isn’t in the room may be waiting for just this');
});

await t.test('no server is asked about rooms that nobody wants', async (t) => {
  const room = scene({ rooms: 'none' });
  room.rooms = new ReelayError('room_unreachable');
  await room.watch.look();
  t.same(room.alerts, []);
});

await t.test('a server that can’t be asked is an alert, and one that can be again is its end', async (t) => {
  const room = scene();
  room.rooms = new ReelayError('room_denied', { value: 'livekit.example.com' });
  await room.watch.look();
  room.rooms = [];
  await room.watch.look();
  t.same(room.alerts, ['rooms of acme: room_denied', 'rooms of acme: over']);
});

await t.test('an alert is over when nobody wants rooms of its account any more', async (t) => {
  const room = scene();
  room.rooms = new ReelayError('room_unreachable');
  await room.watch.look();
  room.accounts = room.accounts.filter(({ id }) => id !== 'acme');
  await room.watch.look();
  await room.watch.look();
  t.same(room.alerts, ['rooms of acme: room_unreachable', 'rooms of acme: over'], 'and told once');
});

async function webhook(room: Scene, event: object): Promise<void> {
  const body = JSON.stringify(event);
  const token = new AccessToken('key', 'secret', { ttl: 300 });
  token.sha256 = createHash('sha256').update(body).digest('base64');
  await room.watch.receive({
    method: 'POST',
    url: '/livekit/webhook',
    headers: { authorization: await token.toJwt() },
    body: Buffer.from(body),
    remoteAddress: '127.0.0.1',
  });
}

await t.test(
  'webhooks that tell of a beginning have the room recorded, each once, and not for a recorder’s sake',
  async (t) => {
    const room = scene();
    const support = { name: 'support-7', sid: 'RM_7' };
    const recorder = { identity: 'reelay-1', permission: { recorder: true, hidden: true } };
    await webhook(room, { id: 'EV_1', event: 'participant_joined', room: support, participant: recorder });
    await webhook(room, { id: 'EV_2', event: 'room_finished', room: support });
    await webhook(room, { id: 'EV_3', event: 'room_started', room: { name: 'private', sid: 'RM_3' } });
    await webhook(room, { id: 'EV_4', event: 'room_started', room: support });
    await webhook(room, { id: 'EV_4', event: 'room_started', room: support });
    await webhook(room, {
      id: 'EV_5',
      event: 'track_published',
      room: support,
      participant: { identity: 'a' },
    });
    await until(() => room.asked.length === 2, 'both to be asked for');
    t.same(short(room), ['acme support-7 RM_7', 'acme support-7 RM_7']);
  },
);

await t.test('whoever asks for a room gets it, or hears what is in the way', async (t) => {
  const room = scene({ rooms: 'none' });
  room.rooms = peopled;
  const acme = account({ id: 'acme', livekit });
  t.match(await room.watch.record(acme, 'private', false), { recordingId: 'rec', isNew: true });
  t.same(short(room), ['acme private RM_3 asked']);
  await t.rejects(room.watch.record(acme, 'nowhere', false), { code: 'room_unknown', value: 'nowhere' });
  t.same(room.created, []);
  t.match(await room.watch.record(acme, 'nowhere', true), { recordingId: 'rec' });
  t.same(room.created, ['nowhere']);
  await t.rejects(room.watch.record(account({ id: 'phones' }), 'private', false), { code: 'room_unknown' });
  room.outcome = { code: 'spool_full', value: 'private' };
  await t.rejects(room.watch.record(acme, 'private', false), { code: 'spool_full' });
  room.outcome = { code: 'rooms_full', value: '5 rooms' };
  await t.rejects(room.watch.record(acme, 'private', false), { code: 'rooms_full', remedy: /roomProcesses/ });
  room.rooms = new ReelayError('room_unreachable', { value: 'livekit.example.com' });
  await t.rejects(room.watch.record(acme, 'private', false), { code: 'room_unreachable' });
});

await t.test(
  'a room that another account of the same project has recorded isn’t there to be asked for',
  async (t) => {
    const of = (id: string, change: Partial<LiveKitAccount>): AccountConfig =>
      account({ id, livekit: { ...livekit, ...change } });
    const rival = of('rival', { url: 'wss://LiveKit.example.com/', rooms: ['rival-*', '*-both'] });
    const elsewhere = [
      of('other-key', { apiKey: 'another', rooms: 'all' }),
      of('other-server', { url: 'wss://elsewhere.example.com', rooms: 'all' }),
      of('idle', { rooms: 'none' }),
    ];
    const room = scene({}, [rival, ...elsewhere]);
    room.rooms = ['rival-1', 'support-both', 'nobodys'].map((name) => ({ name, sid: name, participants: 1 }));
    const acme = account({ id: 'acme', livekit });
    await t.rejects(room.watch.record(acme, 'rival-1', false), { code: 'room_unknown', value: 'rival-1' });
    await t.rejects(room.watch.record(acme, 'rival-2', true), { code: 'room_unknown' });
    t.same(room.created, [], 'nor is it made');
    t.same(room.asked, []);
    for (const name of ['support-both', 'nobodys']) await room.watch.record(acme, name, false);
    await room.watch.record(rival, 'rival-1', false);
    t.same(short(room), [
      'acme support-both support-both asked',
      'acme nobodys nobodys asked',
      'rival rival-1 rival-1 asked',
    ]);
  },
);
