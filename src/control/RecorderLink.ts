import type { MessagePort } from 'node:worker_threads';
import type { Manifest } from '../spool/Manifest.js';
import type { Announcement, RecordingProgress } from '../spool/SpoolEvent.js';
import type { EventWatch } from './events/EventWatch.js';
import type { Archive } from './library/Archive.js';
import { FailedRecordings } from './library/FailedRecordings.js';
import type { Monitoring } from './monitoring/Monitoring.js';
import type { SpoolOwnership } from './uploads/SpoolOwnership.js';
import type { Uploads } from './uploads/Uploads.js';

export interface RecorderLinkParts {
  readonly ownership: SpoolOwnership;
  readonly archive: Archive;
  readonly uploads: Uploads;
  readonly events: EventWatch;
  readonly monitoring: Monitoring;
}

/** What the recorder tells of recordings, and what lies in the spool of them, on its way to those who do something about it. */
export class RecorderLink {
  readonly #parts: RecorderLinkParts;
  readonly #failed: FailedRecordings;
  #port: MessagePort | null = null;

  constructor(parts: RecorderLinkParts) {
    this.#parts = parts;
    this.#failed = new FailedRecordings((manifest) => this.#tellFailed(manifest));
  }

  /** @param port - of the recorder that works from now on; its predecessor's is closed */
  listenTo(port: MessagePort): void {
    this.close();
    this.#port = port;
    port.on('message', (event: Announcement) => this.#announced(event));
  }

  /** A recording that lies in the spool. */
  found(folder: string, manifest: Manifest): void {
    const { ownership, archive, uploads, events } = this.#parts;
    this.#failed.found(manifest);
    if (!ownership.owns(folder)) return archive.foreign(folder);
    events.found(folder, manifest);
    uploads.found(folder, manifest);
  }

  close(): void {
    this.#port?.close();
  }

  #announced(event: Announcement): void {
    const { ownership, archive, uploads, events, monitoring } = this.#parts;
    if (event.type === 'setAside') return uploads.setAside(event.item);
    if (event.type === 'lines') return monitoring.callLog.take(event.lines);
    if (event.type === 'progress') {
      for (const recording of event.recordings) this.#progressed(recording);
      return;
    }
    ownership.take(event.folder);
    archive.take(event);
    uploads.take(event);
    if (event.type === 'started') events.started(event.folder, event.manifest);
    if (event.type === 'ended') {
      this.#failed.ended(event.manifest);
      events.ended(event.folder, event.manifest);
    }
  }

  #progressed(recording: RecordingProgress): void {
    const { ownership, archive, uploads } = this.#parts;
    ownership.take(recording.folder);
    uploads.progressed(recording);
    archive.progressed(recording);
  }

  #tellFailed(manifest: Manifest): void {
    const { monitoring, events } = this.#parts;
    monitoring.failed(manifest);
    events.failed(manifest);
  }
}
