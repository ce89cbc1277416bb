/*
 * PCM16 as bytes and as samples. Files and wires are little-endian; so is every processor that this package supports, which
 * lets both directions be views instead of loops.
 */

/** The bytes of these samples: a view, not a copy. */
export function bytesOf(samples: Int16Array): Uint8Array {
  return new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
}

/** The samples in these bytes: a view, or a copy when they begin at an odd address. An odd last byte is left out. */
export function samplesOf(bytes: Uint8Array): Int16Array {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : Uint8Array.from(bytes);
  return new Int16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 1);
}

/**
 * One channel of interleaved audio.
 *
 * @param channel - from 0
 */
export function channelOf(samples: Int16Array, channel: number, channels: number): Int16Array {
  if (channels === 1) return samples;
  const one = new Int16Array(Math.floor(samples.length / channels));
  for (let i = 0; i < one.length; i++) one[i] = samples[i * channels + channel] ?? 0;
  return one;
}

/** Interleaves channels of equal length, which the first one decides. */
export function interleaved(channels: readonly Int16Array[]): Int16Array {
  const frames = channels[0]?.length ?? 0;
  const samples = new Int16Array(frames * channels.length);
  channels.forEach((channel, offset) => {
    for (let i = 0; i < frames; i++) samples[i * channels.length + offset] = channel[i] ?? 0;
  });
  return samples;
}
