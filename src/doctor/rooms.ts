import { pino } from 'pino';
import type { Config } from '../config/Config.js';
import { ReelayError } from '../config/ReelayError.js';
import { RoomPool } from '../rooms/RoomPool.js';
import { RoomServer } from '../rooms/RoomServer.js';
import { Counters } from '../tap/Counters.js';
import { type Check, failed, type Findings, ok, patienceMs, reasonOf } from './Check.js';

/** What the processes run that join rooms. */
const worker = new URL('../rooms/roomWorker.js', import.meta.url);

/**
 * Each account's LiveKit server is asked for its rooms, and the client's native library is loaded, in a process of its own.
 *
 * @param entry - what that process runs
 */
export async function roomChecks({ accounts }: Pick<Config, 'accounts'>, entry = worker): Promise<Check[]> {
  const having = accounts.flatMap(({ id, livekit }) => (livekit === null ? [] : [{ id, livekit }]));
  if (having.length === 0) return [];
  const checks = having.map(async ({ id, livekit }): Promise<Check> => ({
    name: 'livekit',
    subject: `${id}, ${new URL(livekit.url).host}`,
    ...(await findingsOf(async () => {
      const rooms = await new RoomServer(livekit).rooms();
      return `${rooms.length} rooms are there; ${wanted(livekit.rooms)}`;
    }, 'Check livekit.url, and whether the server can be reached from here.')),
  }));
  const client = findingsOf(
    () => loaded(entry),
    'The client takes long to load: see whether this machine has anything left.',
  ).then((findings): Check => ({ name: 'livekit client', subject: '@livekit/rtc-node', ...findings }));
  return await Promise.all([client, ...checks]);
}

function wanted(rooms: 'all' | 'none' | readonly string[]): string {
  if (rooms === 'all') return 'all are recorded';
  return rooms === 'none' ? 'those are recorded that somebody asks for' : `${rooms.join(', ')} are recorded`;
}

/** @throws ReelayError `sdk_missing`; what the time-out says */
async function loaded(entry: URL): Promise<string> {
  const pool = new RoomPool({
    entry,
    limits: { roomsPerProcess: 1, roomProcesses: 1 },
    counters: new Counters(),
    log: pino({ level: 'silent' }),
  });
  const sinceMs = performance.now();
  try {
    (await pool.place(AbortSignal.timeout(patienceMs)))?.release();
    return `loaded in ${(performance.now() - sinceMs).toFixed(0)} ms`;
  } finally {
    pool.end();
  }
}

/** @param otherwise - the remedy for an error that names none */
async function findingsOf(look: () => Promise<string>, otherwise: string): Promise<Findings> {
  try {
    return ok(await look());
  } catch (error) {
    const remedy = error instanceof ReelayError ? error.remedy : undefined;
    return failed(reasonOf(error), remedy ?? otherwise);
  }
}
