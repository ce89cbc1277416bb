import type { Manifest, Sidecar } from './Manifest.js';
import type { SetAside } from './Quarantine.js';

/**
 * What the recorder announces to the control thread over their message port. The announcements only save time: everything
 * they say is also in the spool's files, and a control thread that starts late or again reads it there.
 */
export type SpoolEvent =
  /** A recording began; `folder` is its path below the spool. The manifest lies there already. */
  | { readonly type: 'started'; readonly folder: string; readonly manifest: Manifest }
  /** A chunk was sealed: its WAV and sidecar are durable and will never change. */
  | { readonly type: 'sealed'; readonly folder: string; readonly sidecar: Sidecar }
  /** The recorder is done with the recording; from now on control owns every file in the folder. */
  | { readonly type: 'ended'; readonly folder: string; readonly manifest: Manifest };

/** How far a live recording is. */
export interface RecordingProgress {
  readonly recordingId: string;
  readonly folder: string;
  /** Per channel. */
  readonly samples: number;
  /** The loudest sample of each channel since it was last told of, 0 to 32768. */
  readonly peaks: readonly number[];
}

/** Everything that comes over that port. */
export type Announcement =
  | SpoolEvent
  /** Twice a second, of all live recordings at once: a message each would cost both threads more than the rest of it. */
  | { readonly type: 'progress'; readonly recordings: readonly RecordingProgress[] }
  /** What the recorder has logged about recordings. */
  | { readonly type: 'lines'; readonly lines: readonly string[] }
  /** Something in the spool could not be read and was moved into the quarantine; the log has told of it. */
  | { readonly type: 'setAside'; readonly item: SetAside };
