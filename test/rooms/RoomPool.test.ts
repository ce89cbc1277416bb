import { ChildProcess, spawn } from 'node:child_process';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { RoomPool, type PoolLimits } from '../../src/rooms/RoomPool.js';
import type { RoomInProcess, RoomProcess, Start } from '../../src/rooms/RoomProcess.js';
import { Counters } from '../../src/tap/Counters.js';
import { until } from '../relay/fixtures/until.js';

const entry = new URL('./fixtures/fakeRoomProcess.js', import.meta.url);
const never = new AbortController().signal;

function poolOf(
  t: Test,
  limits: PoolLimits = { roomsPerProcess: 2, roomProcesses: 2 },
  from = entry,
  start: Start = spawn,
): { pool: RoomPool; counters: Counters } {
  const counters = new Counters();
  const log = pino({ level: 'silent' });
  const pool = new RoomPool({ entry: from, limits, counters, log, start });
  t.teardown(() => pool.end());
  return { pool, counters };
}

/** A room that notes what comes of it. */
class NotedRoom {
  readonly told: string[] = [];
  frames = 0;
  lost: string | null = null;

  audio(_lane: number, _timeMs: number, pcm: Uint8Array): void {
    if (pcm.length === 960 && pcm[0] === 7) this.frames++;
  }

  processLost(detail: string): void {
    this.lost = detail;
  }
}

function join(place: RoomProcess, room: number, token: string): NotedRoom {
  const noted = new NotedRoom();
  const visitor: RoomInProcess = {
    audio: (...frame) => noted.audio(...frame),
    told: (_lane, _timeMs, message) => noted.told.push(message.type),
    processLost: (detail) => noted.processLost(detail),
  };
  place.join(
    room,
    { type: 'join', url: 'ws://x', token, sampleRate: 48_000, departureMs: 1000, mostLanes: 50 },
    visitor,
  );
  return noted;
}

await t.test(
  'rooms share processes up to the limit, and one to spare is there before it is needed',
  async (t) => {
    const { pool, counters } = poolOf(t);
    pool.warm();
    const first = await pool.place(never);
    t.ok(first);
    if (first === null) return;
    t.equal((await pool.place(never))?.pid, first.pid);
    const rooms = [join(first, 1, 'a'), join(first, 2, 'b')];
    pool.changed();
    await until(() => counters.get('roomProcesses') === 2, 'another process');
    const second = await pool.place(never);
    t.not(second?.pid, first.pid);
    t.equal((await pool.place(never))?.pid, second?.pid);
    await until(() => rooms.every(({ frames }) => frames > 3), 'audio of both rooms');
    t.same(rooms[0]?.told.slice(0, 2).sort(), ['joined', 'laneJoined']);
    if (second === null) return;
    join(second, 3, 'c');
    join(second, 4, 'd');
    t.equal(await pool.place(never), null, 'there is no place for a fifth');
  },
);

await t.test(
  'a process that is killed takes none but its own rooms along, and another takes its place',
  async (t) => {
    const { pool, counters } = poolOf(t, { roomsPerProcess: 1, roomProcesses: 3 });
    const first = await pool.place(never);
    if (first === null) throw new Error('no place');
    const killed = join(first, 1, 'a');
    pool.changed();
    const second = await pool.place(never);
    if (second === null) throw new Error('no place');
    const spared = join(second, 2, 'b');
    await until(() => killed.frames > 0 && spared.frames > 0, 'audio of both rooms');
    process.kill(first.pid ?? 0, 'SIGKILL');
    await until(() => killed.lost !== null, 'the loss to be told');
    t.equal(killed.lost, 'SIGKILL');
    const heard = spared.frames;
    await until(() => spared.frames > heard + 3, 'the other room to go on');
    t.equal(spared.lost, null);
    const third = await pool.place(never);
    t.not(third?.pid, second.pid);
    t.equal(counters.get('roomProcessesLost'), 1);
  },
);

await t.test(
  'a room that is to be alone shares its process with nobody, as long as there may be another',
  async (t) => {
    const { pool } = poolOf(t, { roomsPerProcess: 3, roomProcesses: 3 });
    const pids: (number | undefined)[] = [];
    for (const [room, isAlone] of [false, true, false, true, true].entries()) {
      const place = await pool.place(never, isAlone);
      if (place === null) throw new Error('no place');
      pids.push(place.pid);
      join(place, room + 1, 'a');
      pool.changed();
    }
    t.equal(pids[2], pids[0], 'those that needn’t be share one');
    t.equal(new Set(pids.slice(1, 4)).size, 3, 'those that are to be are alone');
    t.equal(pids[4], pids[0], 'where there may be no more, they share all the same');
  },
);

await t.test('a process whose library aborts is lost like one that is killed', async (t) => {
  const { pool } = poolOf(t);
  const place = await pool.place(never);
  if (place === null) throw new Error('no place');
  const room = join(place, 1, 'crash');
  await until(() => room.lost !== null, 'the loss to be told');
  t.equal(room.lost, 'SIGABRT');
});

const failures: readonly (readonly [what: string, fail: Start])[] = [
  ['there is no such command', (_command, args, options) => spawn('/nowhere/node', args, options)],
  [
    'there is no memory',
    () => {
      throw Object.assign(new Error('spawn ENOMEM'), { code: 'ENOMEM' });
    },
  ],
  [
    'there are no descriptors',
    () => {
      // As `spawn` does it for EMFILE: a child without any streams, and the error a turn later.
      const child = new ChildProcess();
      process.nextTick(() => child.emit('error', new Error('spawn EMFILE')));
      return child;
    },
  ],
];
for (const [what, fail] of failures)
  await t.test(`a process that can’t be started, because ${what}, is tried again`, async (t) => {
    let tries = 0;
    const start: Start = (...how) => (++tries <= 3 ? fail(...how) : spawn(...how));
    const { pool, counters } = poolOf(t, undefined, entry, start);
    const place = await pool.place(never);
    t.ok(place?.isReady);
    t.equal(tries, 4);
    t.equal(counters.get('roomProcessesLost'), 3);
    t.equal(counters.get('roomProcesses'), 1);
  });

await t.test('where the library isn’t there, that is what is said', async (t) => {
  const unusable = new URL('./fixtures/unusableRoomProcess.js', import.meta.url);
  const { pool } = poolOf(t, undefined, unusable);
  await t.rejects(pool.place(never), { code: 'sdk_missing', value: 'Cannot find package' });
});

await t.test('who doesn’t want a place any more waits for none', async (t) => {
  const { pool } = poolOf(t);
  const given = new AbortController();
  const place = pool.place(given.signal);
  given.abort(new Error('left'));
  await t.rejects(place, { message: 'left' });
});

await t.test('the end of the pool ends its processes', async (t) => {
  const { pool } = poolOf(t);
  const place = await pool.place(never);
  if (place === null) throw new Error('no place');
  const room = join(place, 1, 'a');
  await until(() => room.frames > 0, 'audio');
  pool.end();
  await until(() => room.lost !== null, 'the process to end');
  t.equal(room.lost, 'exit code 0');
});
