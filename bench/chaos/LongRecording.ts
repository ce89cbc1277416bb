import { fabricateRecording } from '../../test/fixtures/recording.js';

/** A finished recording in a store, long enough for its download to last. */
export class LongRecording {
  readonly recordingId: string;
  readonly bytes: number;

  private constructor(recordingId: string, bytes: number) {
    this.recordingId = recordingId;
    this.bytes = bytes;
  }

  /** @param storeDir - of the account `recorded`; the daemon finds it there when it starts */
  static async lay(storeDir: string, seconds: number): Promise<LongRecording> {
    const samplesPerChunk = 60 * 8000;
    const chunks = Math.max(1, Math.round(seconds / 60));
    const { manifest } = await fabricateRecording(storeDir, {
      accountId: 'recorded',
      chunks,
      samplesPerChunk,
      startMs: Date.now() - 2 * seconds * 1000,
    });
    return new LongRecording(manifest.recordingId, chunks * samplesPerChunk * 4);
  }
}
