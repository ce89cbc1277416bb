import { join } from 'node:path';
import t from 'tap';
import { freePort } from '../../fixtures/freePort.js';
import { DaemonProcess } from '../DaemonProcess.js';
import { eventually } from '../eventually.js';
import { apiKey, apiSecret, LiveKitServer } from './LiveKitServer.js';
import { Participant } from './Participant.js';
import { RecordedRoom } from './RecordedRoom.js';

/*
 * What becomes of rooms when another daemon comes: one that takes over, and one that is started after a kill.
 */
const binary = process.env['REELAY_LIVEKIT'] ?? '';
const skip = binary === '' ? 'no LiveKit server: REELAY_LIVEKIT names what .ci/livekit builds' : false;

interface LiveRoom {
  readonly recordingId: string;
  readonly room: { readonly name: string; readonly presence: string };
}

async function liveRooms(daemon: DaemonProcess): Promise<LiveRoom[]> {
  const { calls } = await daemon.json<{ calls: (LiveRoom | { room?: undefined })[] }>('/v1/calls');
  return calls.filter((call): call is LiveRoom => call.room !== undefined);
}

async function heard(daemon: DaemonProcess, name: string): Promise<string> {
  const { recordingId } = await eventually(`${name} is heard`, async () =>
    (await liveRooms(daemon)).find(({ room }) => room.name === name && room.presence === 'audible'),
  );
  return recordingId;
}

await t.test(
  'each room is recorded once, and what is stopped or paused is not',
  { skip, timeout: 240_000 },
  async (t) => {
    const dir = t.testdir();
    const server = await LiveKitServer.open(binary, join(dir, 'livekit'), null);
    t.teardown(async () => await server.kill());
    const ports = [await freePort(), await freePort()];
    const daemonWith = async (...flags: string[]): Promise<DaemonProcess> => {
      const daemon = DaemonProcess.prepare({
        dir: join(dir, 'daemon'),
        flags,
        accounts: [
          { id: 'acme', livekit: { url: server.url, apiKey, apiSecret, rooms: 'all', departureSeconds: 5 } },
        ],
        config: { media: { port: ports[0], drainSeconds: 60 }, control: { port: ports[1] } },
      });
      t.teardown(async () => {
        await daemon.kill();
      });
      await daemon.restart();
      return daemon;
    };
    for (const name of ['runs', 'stopped', 'paused'])
      await (await Participant.join(t, server, name, `${name}-speaker`)).say(1, 180);

    const first = await daemonWith();
    const runs = await heard(first, 'runs');
    await first.post(`/v1/recordings/${await heard(first, 'stopped')}/stop`);
    await first.post(`/v1/recordings/${await heard(first, 'paused')}/pause`);
    const second = await daemonWith('--take-over');
    const next = await heard(second, 'runs');
    t.not(next, runs, 'another recording');
    t.equal((await first.gone()).signal, null, 'the old daemon has nothing to wait for');
    t.match((await RecordedRoom.stored(second, runs)).manifest, { state: 'complete', reason: null });
    t.same(
      (await liveRooms(second)).map(({ room }) => room.name),
      ['runs'],
    );

    await second.kill();
    await second.restart();
    t.not(await heard(second, 'runs'), next);
    t.same(
      (await liveRooms(second)).map(({ room }) => room.name),
      ['runs'],
      'also after a kill',
    );
    const { recordings } = await second.json<{ recordings: { callId: string }[] }>(
      '/v1/recordings?limit=100',
    );
    t.equal(recordings.length, 5, 'three of the first daemon, one of each other one');
  },
);
