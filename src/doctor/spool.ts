import { randomBytes } from 'node:crypto';
import { access, constants, open, readdir, statfs, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Config } from '../config/Config.js';
import { daemonsFolder, quarantineFolder } from '../spool/layout.js';
import { type Check, failed, type Findings, ok, reasonOf, warning } from './Check.js';

/** Bytes a second of a call at 8 kHz on two channels: its journal and its chunks are on the disk at a time. */
const callRate = 2 * 32_000;
const syncs = 20;
const syncedBytes = 64 * 1024;

/** File systems by the number that statfs(2) gives. */
const volatile: ReadonlyMap<number, string> = new Map([
  [0x0102_1994, 'tmpfs'],
  [0x8584_58f6, 'ramfs'],
]);
const remote: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0xff53_4d42, 'CIFS'],
  [0xfe53_4d42, 'SMB2'],
  [0x6573_5546, 'FUSE'],
]);

export async function spoolChecks({ spool, limits }: Config): Promise<Check[]> {
  const findings = await spoolFindings(spool, limits.calls).catch((error: unknown) =>
    failed(reasonOf(error), 'Give the daemon a folder on a local disk that it may write to.'),
  );
  return [
    { name: 'spool', subject: spool.dir, ...findings },
    { name: 'quarantine', subject: spool.dir, ...(await quarantineFindings(spool.dir)) },
  ];
}

async function spoolFindings(
  { dir, maxBytes, minFreeBytes, syncMs }: Config['spool'],
  calls: number,
): Promise<Findings> {
  const place = await nearest(dir);
  await access(place, constants.W_OK | constants.X_OK);
  const { bavail, blocks, bsize, type } = await statfs(place);
  const floor = minFreeBytes ?? Math.min(2 ** 30, (blocks * bsize) / 20);
  const room = Math.min(maxBytes, Math.max(0, bavail * bsize - floor));
  const hours = room / callRate / calls / 3600;
  const times = await syncTimes(place);
  const [middle = 0, longest = 0] = [times[times.length >> 1], times.at(-1)];
  const detail =
    `room for ${hours.toFixed(1)} hours of ${calls} calls without a store; ` +
    `a sync of 64 KiB takes ${middle.toFixed(1)} ms, ${longest.toFixed(1)} at most`;
  const kept = volatile.get(type);
  if (kept !== undefined)
    return warning(
      `${detail}; it is ${kept}, in memory`,
      'Put the spool on a disk: what waits there is lost with the machine.',
    );
  const far = remote.get(type);
  if (far !== undefined)
    return warning(
      `${detail}; it is ${far}`,
      'Put the spool on a local disk: locks and syncs of others are not to be relied on.',
    );
  if (room === 0)
    return failed(`${detail}; nothing would be recorded`, 'Make room, or lower spool.minFreeBytes.');
  if (middle > syncMs / 2)
    return warning(
      detail,
      `A loss of power costs more than spool.syncMs (${syncMs} ms) there: choose a faster disk.`,
    );
  return ok(detail);
}

/** The folder itself, or the one in which it would be made. */
async function nearest(path: string): Promise<string> {
  for (let folder = path; ; folder = dirname(folder)) {
    const isThere = await access(folder).then(
      () => true,
      () => false,
    );
    if (isThere || dirname(folder) === folder) return folder;
  }
}

/** @returns how long syncs took, ms, the shortest first */
async function syncTimes(folder: string): Promise<number[]> {
  const path = join(folder, `.reelay-doctor-${randomBytes(6).toString('hex')}`);
  const file = await open(path, 'wx');
  try {
    const bytes = randomBytes(syncedBytes);
    const times: number[] = [];
    for (let at = 0; at < syncs; at++) {
      const sinceMs = performance.now();
      await file.write(bytes, 0, bytes.length, at * bytes.length);
      await file.datasync();
      times.push(performance.now() - sinceMs);
    }
    return times.sort((a, b) => a - b);
  } finally {
    await file.close();
    await unlink(path);
  }
}

async function quarantineFindings(dir: string): Promise<Findings> {
  const folder = join(dir, daemonsFolder, quarantineFolder);
  const entries = await readdir(folder).catch(() => []);
  if (entries.length === 0) return ok('empty');
  const remedy = `Look into ${folder}; what nobody needs any more may be deleted by hand.`;
  return warning(`something could not be read and was set aside ${entries.length} times`, remedy);
}
