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
  const skip = `not to be had here: ${refusal ?? 'there is no native thread'}`;
  await t.test('the fast path by io_uring', { skip }, () => undefined);
}
