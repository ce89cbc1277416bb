import t from 'tap';
import { wireRefusal } from '../../src/relay/LiveLoop.js';

/*
 * The same tests as of the fast path with the daemon's own choice, by io_uring, where the system lets it be used.
 */

const refusal = wireRefusal('io_uring');
if (refusal === null) {
  // Read by the fixtures when they are loaded.
  process.env['REELAY_MEDIA_WIRE'] = 'io_uring';
  await import('./fastPath.test.js');
} else {
  await t.test('by io_uring', { skip: `not to be had here: ${refusal ?? 'no native thread'}` });
}
