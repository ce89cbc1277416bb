import { stat } from 'node:fs/promises';
import { ReelayError } from '../config/ReelayError.js';
import type { Manifest } from '../spool/Manifest.js';
import type { KeptNote } from './KeptNote.js';
import type { ObjectStore } from './ObjectStore.js';
import type { SpooledRecording } from './SpooledRecording.js';
import type { ConfirmedObject } from './UploadObserver.js';
import { withMultipart } from './UploadNote.js';
import type { Visit } from './Visit.js';

/** A recording in hand: what lay in its folder when it was taken up, what is noted by now, and where it goes. */
export interface Workpiece {
  readonly spoolDir: string;
  readonly recording: SpooledRecording;
  readonly manifest: Manifest;
  readonly note: KeptNote;
  readonly store: ObjectStore;
  readonly visit: Visit;
}

/** A file to be stored. */
export interface Parcel extends Pick<ConfirmedObject, 'kind' | 'name' | 'sealedMs'> {
  readonly key: string;
  /** Absolute. */
  readonly file: string;
  /** Hex. */
  readonly sha256: string;
  readonly contentType?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** One PUT, however large. */
  readonly isPlain?: boolean;
}

/** What has become of it, once it is confirmed. */
export interface Delivery {
  readonly bytes: number;
  /** An attempt failed before, now or in an earlier visit: a multipart upload that it began may still be open. */
  readonly mayBeOpen: boolean;
}

/**
 * Stores a file and tells the observer.
 *
 * @throws ReelayError `checksum_mismatch`, the file's own `ENOENT`, or whatever {@link Visit.ask} throws
 */
export async function deliver(
  { recording, note, store, visit }: Workpiece,
  parcel: Parcel,
): Promise<Delivery> {
  const { kind, name, key, file, sealedMs, sha256, contentType, metadata } = parcel;
  let attempts = 0;
  const wasBegun = note.content.multiparts.some((each) => each.key === key);
  const beforeMultipart = async () => {
    // An attempt that nobody waits for any more writes no notes.
    visit.proceed();
    await note.change((content) => withMultipart(content, key, null));
  };
  const { bytes } = await visit.ask(async () => {
    attempts++;
    try {
      return await store.put(key, file, {
        sha256,
        ...(contentType === undefined ? {} : { contentType }),
        ...(metadata === undefined ? {} : { metadata }),
        ...(parcel.isPlain === true ? {} : { beforeMultipart }),
      });
    } catch (error) {
      throw (await isGone(file))
        ? new ReelayError('checksum_mismatch', { value: file, cause: error })
        : error;
    }
  }, name);
  visit.observer.stored({ folder: recording.folder, kind, name, bytes, sealedMs });
  return { bytes, mayBeOpen: attempts > 1 || wasBegun };
}

/** No store is to blame for a file that somebody took away. */
async function isGone(file: string): Promise<boolean> {
  return await stat(file).then(
    () => false,
    (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT',
  );
}
