/*
 * What recording LiveKit rooms costs: CPU and memory of the daemon, and of the process that sits in the rooms, in which everybody speaks all
 * the time. Once for a room of several sizes, and once for several rooms of two in one process, because what a room costs grows with the
 * rooms of its process: `limits.roomsPerProcess` bounds it, and has 4 unless told otherwise.
 *
 *     REELAY_LIVEKIT=$(.ci/livekit) npm run bench:rooms -- [participants=2,10] [rooms=1,2,4] [seconds=20] [minutes=10]
 *                                                          [measure=participants,rooms,alignment]
 *
 * Beside it what LiveKit says of Egress for the same job. CPU: one for a room's audio by its SDK path and four for a room composite by way of
 * a browser is what it reserves by default (livekit/egress, pkg/config/service.go). Memory: 4 GB are recommended for an instance, with four
 * CPUs (https://docs.livekit.io/transport/self-hosting/egress, "Requirements"), which at the 80 % that it fills is one such browser, or three
 * rooms by the SDK path.
 *
 * With minutes, or where alignment alone is asked for, three participants talk for so long: where each lies in the recording, less where it
 * was published, is looked up for every minute. Exit 1 when one isn't found, two lie more than 40 ms apart, or one drifts by more than 20 ms;
 * without it nothing of that is judged. A participant whom the recorder never hears ends each of the measurements with exit 1.
 * Participants and server run on the same machine.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DaemonProcess } from '../test/acceptance/DaemonProcess.js';
import { eventually } from '../test/acceptance/eventually.js';
import { apiKey, apiSecret, LiveKitServer } from '../test/acceptance/rooms/LiveKitServer.js';
import { Participant, type Said } from '../test/acceptance/rooms/Participant.js';
import { place } from '../test/acceptance/rooms/Placed.js';
import { RecordedRoom } from '../test/acceptance/rooms/RecordedRoom.js';
import { argument, numbers, words } from './argument.js';
import { type Usage, usageOf } from './ProcessUsage.js';

const sizes = numbers('participants', [2, 10]);
const roomCounts = numbers('rooms', [1, 2, 4]);
const seconds = argument('seconds', 20);
const asked = argument('minutes', 0);
const minutes = asked === 0 ? 10 : asked;
const usual = ['participants', 'rooms'] as const;
const measured = words(
  'measure',
  [...usual, 'alignment'],
  asked === 0 ? usual : ([...usual, 'alignment'] as const),
);
const binary = process.env['REELAY_LIVEKIT'] ?? '';
if (binary === '') throw new Error('REELAY_LIVEKIT must name the server that .ci/livekit builds.');
/** What follows a participant's joining until its jitter buffer has settled, ms. */
const settleMs = 3000;
const allowed = { driftMs: 20, spreadMs: 40 } as const;
const MiB = 2 ** 20;

interface Cost {
  readonly rooms: number;
  readonly participants: number;
  readonly daemon: Spent;
  readonly sitter: Spent;
}

/** CPU in shares of one core, and resident memory, bytes. */
interface Spent {
  readonly share: number;
  readonly rss: number;
}

// So that nothing outlives it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
// Each participant's process is ended with this one.
process.setMaxListeners(0);
const dir = await mkdtemp(join(tmpdir(), 'reelay-rooms-'));
const server = await LiveKitServer.open(binary, join(dir, 'livekit'), null);
try {
  if (measured.includes('participants'))
    await measure(sizes.map((participants) => ({ rooms: 1, participants })));
  if (measured.includes('rooms')) await measure(roomCounts.map((rooms) => ({ rooms, participants: 2 })));
  if (measured.includes('alignment') && !(await withDaemon('alignment', 4, isAligned))) process.exitCode = 1;
} finally {
  await server.kill();
  await rm(dir, { recursive: true, force: true });
}

async function measure(cases: readonly Pick<Cost, 'rooms' | 'participants'>[]): Promise<void> {
  const costs: Cost[] = [];
  for (const { rooms, participants } of cases) {
    const name = `${rooms}-of-${participants}`;
    // Each in a process of its own: what the native library keeps of rooms before isn't theirs.
    costs.push(await withDaemon(name, rooms, (daemon) => costOf(daemon, rooms, participants)));
  }
  print(costs);
}

async function withDaemon<T>(
  name: string,
  roomsPerProcess: number,
  run: (daemon: DaemonProcess) => Promise<T>,
): Promise<T> {
  const daemon = await DaemonProcess.start({
    dir: join(dir, name),
    accounts: [{ id: 'acme', livekit: { url: server.url, apiKey, apiSecret, departureSeconds: 1 } }],
    config: { limits: { roomsPerProcess, roomProcesses: 1 } },
  });
  try {
    return await run(daemon);
  } finally {
    await daemon.kill();
  }
}

async function costOf(daemon: DaemonProcess, rooms: number, participants: number): Promise<Cost> {
  const present: Participant[] = [];
  for (let room = 0; room < rooms; room++) {
    const name = `room-${room}-of-${rooms}-with-${participants}`;
    for (let each = 0; each < participants; each++) {
      const participant = await Participant.enter(server, name, `p${each}`);
      await participant.say(each, seconds + 120);
      present.push(participant);
    }
    await daemon.post(`/v1/livekit/rooms/${name}/record`);
    await eventually('everybody is heard', async () => {
      const { calls } = await daemon.json<{ calls: { room?: { name: string; lanes: string[] } }[] }>(
        '/v1/calls',
      );
      return calls.some(({ room }) => room?.name === name && room.lanes.length === participants);
    });
  }
  await sleep(settleMs);
  const pid = sitterOf(daemon.pid);
  const sinceMs = performance.now();
  const before = [usageOf(daemon.pid), usageOf(pid)] as const;
  await sleep(seconds * 1000);
  const after = [usageOf(daemon.pid), usageOf(pid)] as const;
  const tookMs = performance.now() - sinceMs;
  for (const participant of present) await participant.leave();
  return {
    rooms,
    participants,
    daemon: spent(before[0], after[0], tookMs),
    sitter: spent(before[1], after[1], tookMs),
  };
}

/** Three participants talk; where each of them lies is looked up once a minute. */
async function isAligned(daemon: DaemonProcess): Promise<boolean> {
  const name = 'drift';
  const speakers: { readonly who: Participant; readonly said: Said; readonly name: string }[] = [];
  for (let each = 1; each <= 3; each++) {
    const identity = `speaker-${each}`;
    const who = await Participant.enter(server, name, identity);
    speakers.push({ who, name: identity, said: await who.say(each, minutes * 60 + 30) });
  }
  const answer = await daemon.post(`/v1/livekit/rooms/${name}/record`);
  const { recordingId } = (await answer.json()) as { recordingId: string };
  await sleep(minutes * 60_000 + 15_000);
  for (const { who } of speakers) await who.leave();
  const recorded = await RecordedRoom.stored(daemon, recordingId);
  console.log('\nwhere each lies less where it was published, ms, from the first; once a minute');
  let first: number | null = null;
  const ranges: { readonly least: number; readonly most: number }[] = [];
  for (const { name: lane, said } of speakers) {
    const track = await recorded.samples(lane);
    const offsets: number[] = [];
    for (let minute = 0; minute <= minutes; minute++) {
      const { offsetMs, found } = place(track, said, 5 + 60 * minute, first);
      if (found > 0) first ??= offsetMs;
      offsets.push(offsetMs - (first ?? 0));
    }
    // Of one that isn't found it is NaN, which no comparison below lets pass.
    ranges.push({ least: Math.min(...offsets), most: Math.max(...offsets) });
    console.log(`${lane}  ${offsets.map((offset) => offset.toFixed(1).padStart(6)).join(' ')}`);
  }
  const drift = Math.max(...ranges.map(({ least, most }) => most - least));
  const spread = Math.max(...ranges.map(({ most }) => most)) - Math.min(...ranges.map(({ least }) => least));
  const adjusted = recorded.events('lane_adjusted', 'lane_delay').map(({ type, lane, ms, samples }) => ({
    type,
    lane,
    ms,
    samples,
  }));
  console.log(`drift ${drift.toFixed(1)} ms, spread ${spread.toFixed(1)} ms; ${JSON.stringify(adjusted)}`);
  return drift <= allowed.driftMs && spread <= allowed.spreadMs;
}

function spent(before: Usage, after: Usage, tookMs: number): Spent {
  return { share: ((cpuOf(after) - cpuOf(before)) * 1000) / tookMs, rss: after.rss };
}

function cpuOf({ user, system }: Usage): number {
  return user + system;
}

/** The daemon's one process for rooms. */
function sitterOf(parent: number): number {
  const pids = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
      } catch {
        return false;
      }
    });
  const [sitter] = pids;
  if (sitter === undefined || pids.length > 1) throw new Error(`${pids.length} processes sit in rooms`);
  return sitter;
}

function print(costs: readonly Cost[]): void {
  const cpu = ({ share }: Spent): string => `${(share * 100).toFixed(1)} %`;
  const memory = ({ rss }: Spent): string => `${(rss / MiB).toFixed(0)} MiB`;
  const table = costs.map(({ rooms, participants, daemon, sitter }) => [
    String(rooms),
    String(participants),
    cpu(sitter),
    cpu({ ...sitter, share: sitter.share / rooms }),
    memory(sitter),
    cpu(daemon),
    memory(daemon),
    `${rooms * 100} % (SDK), ${rooms * 400} % (browser)`,
    `${Math.ceil(rooms / 3) * 4} GB (SDK), ${rooms * 4} GB (browser)`,
  ]);
  const heads = [
    'rooms',
    'participants each',
    'CPU of their process',
    'for each room',
    'its memory',
    'CPU of the daemon',
    'its memory',
    'Egress: CPU',
    'memory',
  ];
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...table.map((row) => row[column]?.length ?? 0)),
  );
  console.log();
  for (const row of [heads, ...table])
    console.log(row.map((text, column) => text.padStart(widths[column] ?? 0)).join('  '));
}
