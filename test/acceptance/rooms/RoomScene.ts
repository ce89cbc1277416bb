import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { freePort } from '../../fixtures/freePort.js';
import { DaemonProcess, type AccountEntry } from '../DaemonProcess.js';
import { eventually } from '../eventually.js';
import { apiKey, apiSecret, LiveKitServer } from './LiveKitServer.js';

const binary = process.env['REELAY_LIVEKIT'] ?? '';
export const skip = binary === '' ? 'no LiveKit server: REELAY_LIVEKIT names what .ci/livekit builds' : false;
const home = t.testdir();

export interface Scene {
  readonly daemon: DaemonProcess;
  readonly server: LiveKitServer;
}

/** A server and a daemon that it tells what happens. */
export async function scene(
  t: Test,
  name: string,
  options: {
    readonly rooms?: 'all' | 'none';
    readonly accounts?: (url: string) => readonly AccountEntry[];
    readonly limits?: Readonly<Record<string, unknown>>;
    readonly hasWebhooks?: boolean;
  } = {},
): Promise<Scene> {
  const dir = join(home, name);
  const mediaPort = await freePort();
  const { rooms = 'all', accounts, limits = {}, hasWebhooks = true } = options;
  const webhook = hasWebhooks ? `http://127.0.0.1:${mediaPort}/livekit/webhook` : null;
  const server = await LiveKitServer.open(binary, join(dir, 'livekit'), webhook);
  const acme = { id: 'acme', livekit: { url: server.url, apiKey, apiSecret, rooms, departureSeconds: 5 } };
  const daemon = await DaemonProcess.start({
    dir,
    chunkSeconds: 5,
    accounts: accounts?.(server.url) ?? [acme],
    config: { media: { port: mediaPort }, limits },
    env: { REELAY_FAULTS: '1' },
  });
  t.teardown(async () => {
    await daemon.kill();
    await server.kill();
  });
  return { daemon, server };
}

export interface LiveRoom {
  readonly recordingId: string;
  readonly samples: number;
  readonly room: { readonly name: string; readonly presence: string; readonly lanes: readonly string[] };
}

export async function liveRooms(daemon: DaemonProcess): Promise<LiveRoom[]> {
  const { calls } = await daemon.json<{ calls: (LiveRoom | { room?: undefined })[] }>('/v1/calls');
  return calls.filter((call): call is LiveRoom => call.room !== undefined);
}

export async function live(
  daemon: DaemonProcess,
  name: string,
  isIt: (room: LiveRoom) => boolean = () => true,
): Promise<LiveRoom> {
  return await eventually(`room ${name} is being recorded as expected`, async () =>
    (await liveRooms(daemon)).find((each) => each.room.name === name && isIt(each)),
  );
}

export function hears(...lanes: readonly string[]) {
  return ({ room }: LiveRoom): boolean => lanes.every((lane) => room.lanes.includes(lane));
}

/**
 * Whether everything is whole that the scenes so far have kept.
 *
 * @param unheard - a scene in which nothing is recorded; each of the others has kept something
 */
export async function testWhole(t: Test, unheard?: string): Promise<void> {
  await t.test('everything kept is whole', { skip, timeout: 120_000 }, (t) => {
    const reelay = new URL('../../../src/cli/reelay.cjs', import.meta.url).pathname;
    for (const name of readdirSync(home)) {
      const recordings = recordingsIn(join(home, name, 'recordings', 'acme'));
      t.equal(recordings.length > 0, name !== unheard, `${name}: ${recordings.length} recordings`);
      for (const path of recordings) {
        const said = execFileSync(process.execPath, [reelay, 'verify', path, '--json'], { encoding: 'utf8' });
        t.ok(said !== '', path);
      }
    }
    t.end();
  });
}

/** Folders of recordings below an account's: `<day>/<call>/<recording>`. */
function recordingsIn(store: string): string[] {
  const below = (folder: string): string[] => {
    try {
      return readdirSync(folder, { withFileTypes: true })
        .filter((each) => each.isDirectory())
        .map(({ name }) => join(folder, name));
    } catch {
      return [];
    }
  };
  return below(store).flatMap(below).flatMap(below);
}
