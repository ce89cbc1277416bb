import type { ErrorCode } from '../../config/ReelayError.js';
import type { StuckUpload } from '../monitoring/SystemDocument.js';

/** What is told of a failure. */
export interface UploadTrouble {
  readonly code: ErrorCode;
  readonly error: Error;
  /** Until it is tried again, ms; null: not by itself. */
  readonly delayMs: number | null;
}

/** Troubles that are kept. What is beyond is counted by metrics and told in the log, as these are. */
const most = 2000;

interface Entry extends Omit<UploadTrouble, 'error' | 'delayMs'> {
  readonly message: string;
  readonly sinceMs: number;
  readonly tries: number;
  readonly nextTryMs: number | null;
}

/** What can't be stored at the moment, by recording and by account, and why: what `GET /v1/system` tells of it. */
export class StuckUploads {
  readonly #recordings = new Map<string, Entry>();
  readonly #accounts = new Map<string, Entry>();

  /** An attempt at a recording failed. */
  recording(folder: string, trouble: UploadTrouble, nowMs = Date.now()): void {
    note(this.#recordings, folder, trouble, nowMs);
  }

  /** Nothing of an account is tried any more. */
  account(accountId: string, trouble: UploadTrouble, nowMs = Date.now()): void {
    note(this.#accounts, accountId, trouble, nowMs);
  }

  /** Something of a recording has been stored, or it is gone. */
  works(folder: string): void {
    this.#recordings.delete(folder);
  }

  accountWorks(accountId: string): void {
    this.#accounts.delete(accountId);
  }

  get count(): number {
    return this.#accounts.size + this.#recordings.size;
  }

  /** The longest first, accounts before recordings. */
  list(limit: number): StuckUpload[] {
    const accounts = [...this.#accounts].map(([id, entry]) => shown(entry, id, null, null));
    const recordings = [...this.#recordings].map(([folder, entry]) => {
      const [accountId = '', , callId = '', recordingId = ''] = folder.split('/');
      return shown(entry, accountId, callId, recordingId);
    });
    return [...accounts, ...recordings].slice(0, limit);
  }
}

/** Keeps its place for as long as it lasts, so that the order of the map is that of the beginnings. */
function note(
  entries: Map<string, Entry>,
  name: string,
  { code, error, delayMs }: UploadTrouble,
  nowMs: number,
): void {
  const before = entries.get(name);
  if (before === undefined && entries.size >= most) return;
  entries.set(name, {
    code,
    message: error.message,
    sinceMs: before?.sinceMs ?? nowMs,
    tries: (before?.tries ?? 0) + 1,
    nextTryMs: delayMs === null ? null : nowMs + delayMs,
  });
}

function shown(
  { code, message, sinceMs, tries, nextTryMs }: Entry,
  accountId: string,
  callId: string | null,
  recordingId: string | null,
): StuckUpload {
  const since = new Date(sinceMs).toISOString();
  const nextTry = nextTryMs === null ? null : new Date(nextTryMs).toISOString();
  return { accountId, recordingId, callId, code, message, since, tries, nextTry };
}
