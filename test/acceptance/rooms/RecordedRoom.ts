import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chunkName, manifestName } from '../../../src/spool/layout.js';
import type { Manifest, ManifestEvent } from '../../../src/spool/Manifest.js';
import type { DaemonProcess } from '../DaemonProcess.js';
import { eventually } from '../eventually.js';

const headerBytes = 44;

/** A room's recording as it lies in its store. */
export class RecordedRoom {
  readonly manifest: Manifest;
  readonly #folder: string;

  private constructor(manifest: Manifest, folder: string) {
    this.manifest = manifest;
    this.#folder = folder;
  }

  /** Waits until it is over, and all of it is stored. */
  static async stored(daemon: DaemonProcess, recordingId: string): Promise<RecordedRoom> {
    const entry = await eventually(`recording ${recordingId} is stored`, async () => {
      const { recordings } = await daemon.json<{
        recordings: { recordingId: string; state: string; folder: string }[];
      }>('/v1/recordings?limit=1000');
      const found = recordings.find((each) => each.recordingId === recordingId);
      if (found === undefined || found.state === 'recording' || found.state === 'uploading') return false;
      return existsSync(join(daemon.storeDir, found.folder, manifestName)) && found;
    });
    const folder = join(daemon.storeDir, entry.folder);
    return new RecordedRoom(
      JSON.parse(await readFile(join(folder, manifestName), 'utf8')) as Manifest,
      folder,
    );
  }

  /** One participant's samples over the whole recording, zeros where there is no file; without a lane the sum of all. */
  async samples(lane?: string): Promise<Int16Array> {
    const { samples, chunks } = this.manifest;
    const all = new Int16Array(samples);
    for (const { index, startSample, samples: length } of chunks) {
      const path = join(this.#folder, chunkName(index, lane));
      if (!existsSync(path)) continue;
      const bytes = await readFile(path);
      const pcm = bytes.subarray(headerBytes);
      for (let at = 0; at < length; at++) all[startSample + at] = pcm.readInt16LE(2 * at);
    }
    return all;
  }

  events(...types: readonly string[]): ManifestEvent[] {
    return this.manifest.events.filter(({ type }) => types.includes(type));
  }

  /** Seconds from the beginning. */
  secondsOf(event: ManifestEvent | undefined): number {
    if (event === undefined) throw new Error('there is no such event');
    return event.sample / this.manifest.sampleRate;
  }
}
