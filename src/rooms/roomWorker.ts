import { Socket } from 'node:net';
import { getPriority, setPriority } from 'node:os';
import { loadLiveKitSdk } from './liveKitSdk.js';
import { monotonicMs } from './RoomFrame.js';
import { RoomHost, tell } from './RoomHost.js';

/*
 * A process that sits in LiveKit rooms, started by the daemon with a pipe as descriptor 3 and nothing else. It ends with the pipe, and
 * when its native library panics, by itself.
 */
const pipeDescriptor = 3;
/** Behind the thread that it was started by, whose niceness it has: that one has to empty its pipe. */
const niceness = 1;
/** How long the server is given to hear that the rooms are left, ms. */
const leaveMs = 1000;

try {
  setPriority(Math.min(19, getPriority() + niceness));
} catch {
  // Elsewhere it is as everybody.
}
const pipe = new Socket({ fd: pipeDescriptor, readable: true, writable: true });
pipe.on('error', () => process.exit(0));
// Its library throws into nobody's hands where the server and it don't agree on who is there; the rooms go on.
process.on('unhandledRejection', (reason) => console.error('unhandled rejection', reason));

try {
  const host = new RoomHost(pipe, await loadLiveKitSdk());
  pipe.on('end', () => void end(host));
} catch (error) {
  const message = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  tell(pipe, { room: 0, lane: 0, timeMs: monotonicMs() }, { type: 'unusable', message });
  pipe.end();
  pipe.on('close', () => process.exit(1));
}

/** The server need not wait for a time-out to know that nobody listens any more. */
async function end(host: RoomHost): Promise<void> {
  setTimeout(() => process.exit(0), leaveMs);
  await host.leaveAll();
  process.exit(0);
}
