import { join } from 'node:path';
import { depthBelowRoot, FolderFiles, type RecordingFiles } from './RecordingFiles.js';
import { isFolder, isRecordingFile, recordingsBelow } from './RecordingFolder.js';
import { type ObjectSource, RecordingObjects } from './RecordingObjects.js';

/** A place with recordings: a store or a spool. */
export interface RecordingRoot {
  /** For people: a path, or the URL of a bucket. */
  readonly name: string;
  /** All that lie in it. */
  recordings(): Promise<RecordingFiles[]>;
  /**
   * @param folder - `<account>/<YYYYMMDD>/<callId>/<recordingId>`
   * @returns null when nothing of this recording lies in it
   */
  recording(folder: string): Promise<RecordingFiles | null>;
}

/** A folder on the disk: a file store, a spool, or any other with recordings below it. */
export class FolderRoot implements RecordingRoot {
  readonly name: string;

  constructor(dir: string) {
    this.name = dir;
  }

  async recordings(): Promise<RecordingFiles[]> {
    return (await recordingsBelow(this.name)).map((path) => new FolderFiles(path));
  }

  async recording(folder: string): Promise<RecordingFiles | null> {
    const path = join(this.name, folder);
    return (await isFolder(path)) ? new FolderFiles(path) : null;
  }
}

/** Objects whose keys begin with a prefix. */
export class ObjectRoot implements RecordingRoot {
  readonly name: string;
  readonly #source: ObjectSource;
  readonly #base: string;
  readonly #prefix: string;

  /**
   * @param base - what the source is to people, for example `s3://bucket`
   * @param prefix - without slashes at its ends; '' for all objects
   */
  constructor(source: ObjectSource, base: string, prefix = '') {
    this.#source = source;
    this.#base = base;
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
    this.name = prefix === '' ? base : `${base}/${prefix}`;
  }

  async recordings(): Promise<RecordingFiles[]> {
    const folders = new Set<string>();
    for await (const { key } of this.#source.list(this.#prefix)) {
      const end = key.lastIndexOf('/');
      if (end > 0 && isRecordingFile(key.slice(end + 1))) folders.add(key.slice(0, end));
    }
    return [...folders].sort().map((folder) => this.#files(folder));
  }

  async recording(folder: string): Promise<RecordingFiles | null> {
    const files = this.#files(this.#prefix + folder);
    return (await files.names()).length === 0 ? null : files;
  }

  #files(folder: string): RecordingObjects {
    return new RecordingObjects(this.#source, this.#base, folder);
  }
}

/** The last four names of a path or URL: the recording's place below the root of its store. */
export function folderBelowRoot(path: string): string {
  return path.split(/[/\\]/).slice(-depthBelowRoot).join('/');
}
