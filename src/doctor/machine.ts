import { readFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { implementation, implementationReason } from '../audio/kernels.js';
import type { Config } from '../config/Config.js';
import { loadAddon } from '../config/nativeAddon.js';
import { mayRunInRealtime, realtimeObstacles } from '../config/realtime.js';
import { type Check, failed, ok, warning } from './Check.js';

/** Two sockets and a growing chunk for each call; and what the daemon has open anyway. */
const descriptors = { perCall: 3, spare: 300 };
/** What the daemon takes without calls, and each call in addition, with the ring that is configured; bytes. */
const memory = { base: 300 * 2 ** 20, perCall: 2 ** 20 };
/** The oldest Node that `package.json` allows. */
const leastNode = [20, 19] as const;

export async function machineChecks(config: Config): Promise<Check[]> {
  return [
    nodeCheck(process.versions.node),
    addonCheck(config),
    ...realtimeChecks(config),
    await descriptorCheck(config),
    memoryCheck(config),
  ];
}

/** @param version - for example `20.19.0` */
export function nodeCheck(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isRecent = major > leastNode[0] || (major === leastNode[0] && minor >= leastNode[1]);
  const findings = isRecent
    ? ok(`Node ${version}`)
    : failed(`Node ${version} is too old`, `Install Node ${leastNode.join('.')} or later.`);
  return { name: 'node', subject: process.execPath, ...findings };
}

function addonCheck({ media }: Config): Check {
  const subject = 'native/build';
  const build = 'Install python3, make and g++, then run npm rebuild reelay (or npm ci in its folder).';
  if (implementation !== 'native') {
    const detail = `not used (${implementationReason}): audio and frames take several times the CPU`;
    return { name: 'addon', subject, ...warning(detail, build) };
  }
  const canMove = 'LiveLoop' in loadAddon();
  if (media.fastPath && !canMove) {
    const detail = 'frames are moved in JavaScript: the native thread is for Linux';
    return { name: 'addon', subject, ...warning(detail, 'Run the daemon on Linux where many calls are up.') };
  }
  return {
    name: 'addon',
    subject,
    ...ok(`in use${media.fastPath ? ', for frames too' : '; media.fastPath is off'}`),
  };
}

/** Nothing for who doesn't want it. */
function realtimeChecks({ media }: Config): Check[] {
  if (!media.realtime) return [];
  const hasThread = media.fastPath && implementation === 'native' && 'LiveLoop' in loadAddon();
  const { reason, remedy } = realtimeObstacles[hasThread ? 'refused' : 'noThread'];
  const findings =
    hasThread && mayRunInRealtime()
      ? ok('allowed')
      : warning(`frames will not be moved in real time: ${reason}`, remedy);
  return [{ name: 'realtime', subject: 'media.realtime', ...findings }];
}

async function descriptorCheck({ limits }: Config): Promise<Check> {
  const subject = 'open files';
  const needed = descriptors.spare + descriptors.perCall * limits.calls;
  const text = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const allowed = /^Max open files\s+\S+\s+(\d+)/m.exec(text)?.[1];
  if (allowed === undefined)
    return { name: 'descriptors', subject, ...ok('not bounded, as far as is known') };
  const detail = `${allowed} allowed, ${needed} needed for limits.calls ${limits.calls}`;
  const remedy = `Raise the limit (LimitNOFILE=${needed} in systemd, --ulimit nofile=${needed} in Docker) or lower limits.calls.`;
  return {
    name: 'descriptors',
    subject,
    ...(Number(allowed) < needed ? failed(detail, remedy) : ok(detail)),
  };
}

function memoryCheck({ limits }: Config): Check {
  const constrained = process.constrainedMemory();
  const total = totalmem();
  const bytes = constrained > 0 && constrained < total ? constrained : total;
  const needed = memory.base + 2 * limits.ringBytes + memory.perCall * limits.calls;
  const mib = (count: number): string => `${Math.round(count / 2 ** 20)} MiB`;
  const detail = `${mib(bytes)}, some ${mib(needed)} needed for limits.calls ${limits.calls}`;
  const remedy = 'Give it more memory, or lower limits.calls or limits.ringBytes.';
  return {
    name: 'memory',
    subject: 'this machine',
    ...(bytes < needed ? warning(detail, remedy) : ok(detail)),
  };
}
