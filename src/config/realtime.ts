import { readFile } from 'node:fs/promises';

/** What to do where the system doesn't let a thread of this process run in real time. */
export const realtimeRemedy =
  'Allow it (LimitRTPRIO=1 in systemd, --ulimit rtprio=1 in Docker, or CAP_SYS_NICE), on Linux with the native addon and media.fastPath; or leave media.realtime out.';

/** CAP_SYS_NICE of capabilities(7). */
const niceBit = 1n << 23n;

/**
 * Whether this process may have threads that run in real time: by its limit of priorities (RLIMIT_RTPRIO of getrlimit(2)) or by
 * CAP_SYS_NICE. A control group may keep it from that all the same.
 */
export async function mayRunInRealtime(): Promise<boolean> {
  const read = async (name: string): Promise<string> =>
    await readFile(`/proc/self/${name}`, 'utf8').catch(() => '');
  const limit = /^Max realtime priority\s+(\S+)/m.exec(await read('limits'))?.[1] ?? '0';
  const capabilities = /^CapEff:\s*([0-9a-f]+)/m.exec(await read('status'))?.[1] ?? '0';
  return limit !== '0' || (BigInt(`0x${capabilities}`) & niceBit) !== 0n;
}
