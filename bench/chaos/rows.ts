import { BlockedLog } from './BlockedLog.js';
import { CallBurst } from './CallBurst.js';
import { DiskFault } from './DiskFault.js';
import { DownloadStorm } from './DownloadStorm.js';
import type { Fault } from './Fault.js';
import { FullDisk } from './FullDisk.js';
import { LockedDatabase } from './LockedDatabase.js';
import { ReloadStorm } from './ReloadStorm.js';
import { StalledPeer } from './StalledPeer.js';
import { StoreTrouble } from './StoreTrouble.js';
import { ThreadFault } from './ThreadFault.js';

/** All rows; those of one setting share a daemon. */
export function allRows(): Fault[] {
  const ways = ['throw', 'hang', 'exit', 'heap'] as const;
  return [
    ...ways.map((way) => new ThreadFault('recorder', way)),
    ...ways.map((way) => new ThreadFault('control', way)),
    new DownloadStorm(),
    new LockedDatabase(),
    new ReloadStorm(),
    new StalledPeer('bot'),
    new StalledPeer('caller'),
    new CallBurst(),
    new FullDisk(false),
    new FullDisk(true),
    new DiskFault('fail'),
    new DiskFault('slow'),
    new StoreTrouble('hangs'),
    new StoreTrouble('refuses'),
    new StoreTrouble('trickles'),
    new BlockedLog(),
  ];
}
