import { haproxy } from './haproxy.js';
import { nginx } from './nginx.js';
import { recordMp3, recordWav, wsProxy, wsRecorder } from './nodePeers.js';
import { reelays } from './reelay.js';
import type { Subject } from './Subject.js';

/** All that the bench knows; the first is what the others are compared with. */
export function allSubjects(): Subject[] {
  return [nginx, haproxy, wsProxy, wsRecorder, ...reelays(), recordWav, recordMp3];
}
