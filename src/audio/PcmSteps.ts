import { samplesOf } from './pcm.js';

/**
 * Cuts a stream of PCM16 into steps of a certain length, whatever pieces it comes in: what an encoder does with one takes
 * milliseconds, and who drives it lets the event loop have its turn in between. A step ends early only where a piece does. A block
 * that the end cuts short is left out.
 *
 * @param pcm - pieces of any length, also of odd ones
 * @param block - bytes of one sample of all channels
 * @param most - samples per channel in a step
 */
export async function* stepsOf(
  pcm: AsyncIterable<Uint8Array>,
  block: number,
  most: number,
): AsyncGenerator<Int16Array> {
  let rest = Buffer.alloc(0);
  for await (const piece of pcm) {
    const bytes =
      rest.length === 0
        ? Buffer.from(piece.buffer, piece.byteOffset, piece.length)
        : Buffer.concat([rest, piece]);
    const whole = bytes.length - (bytes.length % block);
    for (let at = 0; at < whole; at += most * block)
      yield samplesOf(bytes.subarray(at, Math.min(whole, at + most * block)));
    rest = Buffer.from(bytes.subarray(whole));
  }
}
