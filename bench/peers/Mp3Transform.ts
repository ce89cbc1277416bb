import { createRequire } from 'node:module';
import { Transform, type TransformCallback } from 'node:stream';

interface Encoder {
  encodeBuffer(left: Int16Array, right: Int16Array): Int8Array;
  flush(): Int8Array;
}

interface Lame {
  readonly Mp3Encoder: new (channels: number, sampleRate: number, kbps: number) => Encoder;
}

const kbps = 128;

/** Interleaved 16-bit stereo into MP3, by the encoder that jambonz has, which is written in JavaScript. */
export class Mp3Transform extends Transform {
  readonly #encoder: Encoder;

  constructor(sampleRate: number) {
    super();
    // Not imported, because the bench runs without it too.
    const lame = createRequire(import.meta.url)('@jambonz/lamejs') as Lame;
    this.#encoder = new lame.Mp3Encoder(2, sampleRate, kbps);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const samples = chunk.length >> 2;
    const [left, right] = [new Int16Array(samples), new Int16Array(samples)];
    for (let at = 0; at < samples; at += 1) {
      left[at] = chunk.readInt16LE(at * 4);
      right[at] = chunk.readInt16LE(at * 4 + 2);
    }
    done(null, Buffer.from(this.#encoder.encodeBuffer(left, right)));
  }

  override _flush(done: TransformCallback): void {
    done(null, Buffer.from(this.#encoder.flush()));
  }
}
