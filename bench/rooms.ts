/*
 * What recording a LiveKit room costs: CPU and memory of the daemon, and of the process that sits in the room, for rooms of several
 * sizes in which everybody speaks all the time. Beside it what LiveKit's Egress reserves for the same job by default (livekit/egress,
 * pkg/config/service.go): one CPU for a room's audio by its SDK path, four for a room composite by way of a browser.
 *
 *     REELAY_LIVEKIT=$(.ci/livekit) npm run bench:rooms -- [participants=2,10] [seconds=20] [minutes=0]
 *
 * With minutes, three participants besides who talk for so long: where each lies in the recording, less where it was published, for every
 * minute. Participants and server run on the same machine. Exit 1 when a participant isn't heard, when two lie more than 40 ms apart, or when one
 * drifts by more than 20 ms.
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
import { argument, numbers } from './argument.js';
import { type Usage, usageOf } from './ProcessUsage.js';

const sizes = numbers('participants', [2, 10]);
const seconds = argument('seconds', 20);
const minutes = argument('minutes', 0);
const binary = process.env['REELAY_LIVEKIT'] ?? '';
if (binary === '') throw new Error('REELAY_LIVEKIT must name the server that .ci/livekit builds.');
/** What follows a participant's joining until its jitter buffer has settled, ms. */
const settleMs = 3000;
const MiB = 2 ** 20;

interface Cost {
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
const dir = await mkdtemp(join(tmpdir(), 'reelay-rooms-'));
const server = await LiveKitServer.open(binary, join(dir, 'livekit'), null);
const daemon = await DaemonProcess.start({
  dir,
  accounts: [{ id: 'acme', livekit: { url: server.url, apiKey, apiSecret, departureSeconds: 1 } }],
});
try {
  const costs: Cost[] = [];
  for (const size of sizes) costs.push(await costOf(size));
  print(costs);
  if (minutes > 0) process.exitCode = (await isAligned()) ? 0 : 1;
} finally {
  await daemon.kill();
  await server.kill();
  await rm(dir, { recursive: true, force: true });
}

async function costOf(participants: number): Promise<Cost> {
  const name = `room-of-${participants}`;
  const present: Participant[] = [];
  for (let each = 0; each < participants; each++) {
    const participant = await Participant.enter(server, name, `p${each}`);
    await participant.say(each, seconds + 60);
    present.push(participant);
  }
  await daemon.post(`/v1/livekit/rooms/${name}/record`);
  await eventually('everybody is heard', async () => {
    const { calls } = await daemon.json<{ calls: { room?: { name: string; lanes: string[] } }[] }>(
      '/v1/calls',
    );
    return calls.some(({ room }) => room?.name === name && room.lanes.length === participants);
  });
  await sleep(settleMs);
  const pid = sitterOf(daemon.pid);
  const sinceMs = performance.now();
  const before = [usageOf(daemon.pid), usageOf(pid)] as const;
  await sleep(seconds * 1000);
  const after = [usageOf(daemon.pid), usageOf(pid)] as const;
  const tookMs = performance.now() - sinceMs;
  for (const participant of present) await participant.leave();
  return {
    participants,
    daemon: spent(before[0], after[0], tookMs),
    sitter: spent(before[1], after[1], tookMs),
  };
}

/** Three participants talk; where each of them lies is looked up once a minute. */
async function isAligned(): Promise<boolean> {
  const name = 'drift';
  const speakers: { readonly who: Participant; readonly said: Said; readonly name: string }[] = [];
  for (let each = 1; each <= 3; each++) {
    const identity = `speaker-${each}`;
    const who = await Participant.enter(server, name, identity);
    speakers.push({ who, name: identity, said: await who.say(each, minutes * 60 + 30) });
  }
  const asked = await daemon.post(`/v1/livekit/rooms/${name}/record`);
  const { recordingId } = (await asked.json()) as { recordingId: string };
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
      const { offsetMs } = place(track, said, 5 + 60 * minute, first);
      first ??= offsetMs;
      offsets.push(offsetMs - first);
    }
    const found = offsets.filter((offset) => !Number.isNaN(offset));
    ranges.push({ least: Math.min(...found), most: Math.max(...found) });
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
  return drift <= 20 && spread <= 40;
}

function spent(before: Usage, after: Usage, tookMs: number): Spent {
  return { share: ((cpuOf(after) - cpuOf(before)) * 1000) / tookMs, rss: after.rss };
}

function cpuOf({ user, system }: Usage): number {
  return user + system;
}

/** Of the daemon's processes for rooms the one that has worked most: the others wait. */
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
  const [busiest] = pids.sort((a, b) => cpuOf(usageOf(b)) - cpuOf(usageOf(a)));
  if (busiest === undefined) throw new Error('the daemon has no process for rooms');
  return busiest;
}

function print(costs: readonly Cost[]): void {
  console.log(
    'participants  CPU of its process  of the daemon  memory of its process  of the daemon  Egress reserves',
  );
  const cpu = ({ share }: Spent): string => `${(share * 100).toFixed(1)} %`;
  const memory = ({ rss }: Spent): string => `${(rss / MiB).toFixed(0)} MiB`;
  for (const { participants, daemon: own, sitter } of costs) {
    const columns = [
      cpu(sitter).padStart(18),
      cpu(own).padStart(13),
      memory(sitter).padStart(21),
      memory(own).padStart(13),
    ];
    console.log(`${String(participants).padStart(12)}  ${columns.join('  ')}  100 % (SDK), 400 % (browser)`);
  }
}
