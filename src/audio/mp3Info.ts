/** Samples of silence that the encoder puts in front of the audio; decoders add 529 of their own. */
const encoderDelay = 576;
/** What the encoder needs behind the last sample to give it out. */
const leastPadding = 576;

/**
 * The frame in front of a constant-rate MP3 that says how much of what follows is the audio: the `Info` tag with LAME's
 * extension, as LAME's own `VbrTag.c` lays it out. It is silent to a decoder that doesn't know it. Players that do, browsers among
 * them, begin at the first sample and end behind the last one; without it a call at 8 kHz is heard 138 ms late.
 *
 * @param first - the head of the file's first frame, 4 bytes at least, whose rates this one has too
 * @param samples - of the audio, per channel, at the MP3's rate
 */
export function mp3InfoFrame(first: Uint8Array, samples: number): Buffer {
  const head = Buffer.from(first.subarray(0, 4));
  const isLong = ((head.readUInt8(1) >> 3) & 3) === 3;
  const isMono = head.readUInt8(3) >> 6 === 3;
  const frameSamples = isLong ? 1152 : 576;
  const frames = Math.ceil((samples + encoderDelay + leastPadding) / frameSamples);
  const padding = frames * frameSamples - encoderDelay - samples;
  const frame = Buffer.alloc(frameBytes(head, isLong));
  // Without CRC, the padding byte, and what the first frame says of its own stereo.
  frame.set([head.readUInt8(0), head.readUInt8(1) | 1, head.readUInt8(2) & 0xfd, head.readUInt8(3) & 0xcf]);
  const tag = 4 + (isLong ? (isMono ? 17 : 32) : isMono ? 9 : 17);
  frame.write('Info', tag, 'latin1');
  frame.writeUInt32BE(1, tag + 4);
  frame.writeUInt32BE(frames, tag + 8);
  const extension = tag + 12;
  frame.write('LAME3.100', extension, 'latin1');
  // Constant bit rate.
  frame.writeUInt8(1, extension + 9);
  frame.writeUIntBE(encoderDelay * 4096 + padding, extension + 21, 3);
  frame.writeUInt16BE(crc16(frame.subarray(0, extension + 34)), extension + 34);
  return frame;
}

/** kbit/s by their four bits in a frame's head, of MPEG-1 layer III and of its lower rates. */
const bitrates = {
  long: [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  short: [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
};
const longRates = [44_100, 48_000, 32_000];

/** Length of a frame without its padding byte (ISO/IEC 11172-3, 2.4.3.1). */
function frameBytes(head: Buffer, isLong: boolean): number {
  const version = (head.readUInt8(1) >> 3) & 3;
  const rates = head.readUInt8(2);
  const kbits = bitrates[isLong ? 'long' : 'short'][rates >> 4] ?? 0;
  // MPEG-2 has half of MPEG-1's rates, MPEG-2.5 a quarter.
  const hz = (longRates[(rates >> 2) & 3] ?? 0) / (isLong ? 1 : version === 2 ? 2 : 4);
  return Math.floor(((isLong ? 144 : 72) * kbits * 1000) / hz);
}

/** CRC-16 of the polynomial 0x8005, reflected, from 0: the one of the tag. */
function crc16(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 1 ? (sum >> 1) ^ 0xa001 : sum >> 1;
  }
  return sum;
}
