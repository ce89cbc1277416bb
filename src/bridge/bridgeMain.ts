/*
 * A process that carries calls into rooms. It is one of its own because LiveKit's native library ends its whole process when it
 * panics, and keeps what it leaks; the daemon starts another one.
 */
import { runBridge } from './runBridge.js';

void runBridge(async () => {
  const { livekitRooms } = await import('./LiveKitRooms.js');
  return await livekitRooms();
});
