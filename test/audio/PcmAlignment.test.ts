import * as fc from 'fast-check';
import t from 'tap';
import { PcmAlignment } from '../../src/audio/PcmAlignment.js';

await t.test('however a stream of bytes is cut, whole frames come out, in order and unchanged', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 20 })),
        fc.constantFrom(1, 2, 4),
        (messages, frameBytes) => {
          const alignment = new PcmAlignment(frameBytes);
          const out = messages.map((message) => alignment.push(message));
          const all = Buffer.concat(messages);
          const whole = all.subarray(0, all.length - (all.length % frameBytes));
          return out.every((part) => part.length % frameBytes === 0) && Buffer.concat(out).equals(whole);
        },
      ),
    ),
  );
  t.end();
});
