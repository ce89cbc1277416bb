import { loadAddon } from './nativeAddon.js';

/** Why the thread that moves frames isn't run in real time where `media.realtime` wants it, and what to do. */
export const realtimeObstacles = {
  noThread: {
    reason: 'no native thread moves frames',
    remedy:
      'Run on Linux with the native addon and media.fastPath, for which `reelay doctor` says what is missing; or leave media.realtime out.',
  },
  refused: {
    reason: 'the system does not allow it',
    remedy:
      'Allow it (LimitRTPRIO=1 or AmbientCapabilities=CAP_SYS_NICE in systemd, --ulimit rtprio=1 in Docker), or leave media.realtime out.',
  },
} as const;

/** Whether a thread of this process may run in real time (SCHED_RR of sched(7)): one tries it, and ends. False where no native thread moves frames. */
export function mayRunInRealtime(): boolean {
  try {
    const { LiveLoop } = loadAddon() as { LiveLoop?: { mayComeFirst(): boolean } };
    return LiveLoop?.mayComeFirst() === true;
  } catch {
    return false;
  }
}
