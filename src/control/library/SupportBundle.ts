import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import pLimit from 'p-limit';
import type { CatalogueEntry } from '../../catalogue/Catalogue.js';
import type { Outbox } from '../../catalogue/Delivery.js';
import { readinessOf } from '../../config/readiness.js';
import { ReelayError } from '../../config/ReelayError.js';
import { version } from '../../config/version.js';
import type { Manifest } from '../../spool/Manifest.js';
import { ownAudio } from '../../spool/ownAudio.js';
import type { ThreadStates } from '../ControlMessage.js';
import { deliveryView } from '../events/deliveryView.js';
import type { CallLog, KeptLines } from '../monitoring/CallLog.js';
import { cheapFindings, type KnownFiles } from './cheapFindings.js';
import type { Library } from './Library.js';
import type { LiveCalls } from './LiveCalls.js';
import { readSidecar } from './readSidecar.js';
import type { Removal } from './Removal.js';
import { withoutSecrets } from './withoutSecrets.js';

export interface SupportBundleOptions {
  readonly library: Library;
  readonly calls: LiveCalls;
  readonly removal: Pick<Removal, 'held'>;
  readonly outbox: Pick<Outbox, 'deliveriesOf'>;
  readonly callLog: Pick<CallLog, 'linesOf' | 'lost'>;
  readonly threads: () => ThreadStates;
  readonly log: Logger;
}

/** What a bundle is about. */
export interface Bundled {
  readonly recordingId: string;
  /** Whose it is, as whoever asks has found it: another account may have said something of the same id. */
  readonly accountId: string;
  /** Null where there is none: only its call knows the recording, or it was deleted. */
  readonly entry: CatalogueEntry | null;
}

/** What a bundle is made of, in the order in which somebody reads it. */
export type BundleDocument = Readonly<Record<string, unknown>>;

/** A file of the recording, somewhere. */
interface FileEntry {
  readonly place: 'spool' | 'store';
  /** Below the recording's folder. */
  readonly name: string;
  readonly bytes: number;
}

/** A part that isn't there after so long is left out, ms: a bundle is asked for when something hangs. */
const partMs = 10_000;
/** Sidecars of one recording, and files; further ones are left out. More than a day of chunks of a minute. */
const mostSidecars = 2000;
const mostFiles = 10_000;
const readAtOnce = 8;

/**
 * Everything that is known about one recording, for somebody who has to find out what became of it. Each part is read for itself: one
 * that can't be had, because a store or the catalogue is away, is named among the problems, and the rest is there.
 */
export class SupportBundle {
  readonly #options: SupportBundleOptions;

  constructor(options: SupportBundleOptions) {
    this.#options = options;
  }

  /** @param isAdmin - whether who asks may see where in the program an error came from */
  async of({ recordingId, accountId, entry }: Bundled, isAdmin: boolean): Promise<BundleDocument> {
    const { library, calls, removal, outbox, callLog, threads } = this.#options;
    const parts = new Parts(recordingId, this.#options.log);
    const manifest = entry && (await parts.read('manifest', () => library.manifest(entry)));
    const buried = entry === null ? await library.tombstone(recordingId) : undefined;
    const isOwn = (each: object): boolean => !('accountId' in each) || each.accountId === accountId;
    const call = calls.all.find((each) => each.recordingId === recordingId && isOwn(each)) ?? null;
    const [files, sidecars, hold, deliveries, kept] = await Promise.all([
      entry && parts.read('files', () => this.#filesOf(entry, manifest)),
      entry && manifest && parts.read('sidecars', () => this.#sidecarsOf(entry, manifest)),
      entry && parts.read('hold', () => removal.held(entry)),
      parts.read('deliveries', () => outbox.deliveriesOf(recordingId, accountId)),
      parts.read('log', () => callLog.linesOf(recordingId)),
    ]);
    return {
      schema: 1,
      recordingId,
      madeTime: new Date().toISOString(),
      daemon: { version, node: process.version, readiness: readinessOf(threads()).body },
      recording: entry,
      progress: ((entry ?? call) && library.progress(recordingId)) ?? null,
      call,
      hold,
      tombstone: buried?.accountId === accountId ? buried : null,
      findings: manifest && findingsOf(manifest, files, sidecars),
      problems: parts.problems,
      log: kept && logOf(kept, callLog.lost),
      manifest,
      files,
      deliveries: deliveries?.map(deliveryView) ?? null,
      sidecars: sidecars && [...sidecars.values()].map(parsed),
      lines:
        kept?.lines.filter(isOwn).map((line) => withoutSecrets(line, exemptFor(manifest, isAdmin))) ?? null,
    };
  }

  /** Names and sizes in the spool and in the store. */
  async #filesOf(entry: CatalogueEntry, manifest: Manifest | null): Promise<FileEntry[]> {
    const { spoolDir, folder, store: storeOf } = this.#options.library.whereabouts(entry);
    const files = await spooledFiles(join(spoolDir, folder));
    const store = await storeOf();
    if (store === null) return files;
    for await (const { key, bytes } of store.list(`${folder}/`)) {
      if (files.length >= mostFiles) return files;
      files.push({ place: 'store', name: key.slice(folder.length + 1), bytes });
    }
    for (const { key } of manifest === null ? [] : ownAudio(manifest)) {
      const bytes = key.startsWith(`${folder}/`) ? null : await store.size(key);
      if (bytes !== null) files.push({ place: 'store', name: `/${key}`, bytes });
    }
    return files;
  }

  async #sidecarsOf(entry: CatalogueEntry, { chunks }: Manifest): Promise<Map<number, string>> {
    const where = this.#options.library.whereabouts(entry);
    const limit = pLimit(readAtOnce);
    const texts = await Promise.all(
      chunks
        .slice(0, mostSidecars)
        .map(({ index }) => limit(async () => [index, await readSidecar(where, index)] as const)),
    );
    return new Map(texts.flatMap(([index, text]) => (text === null ? [] : [[index, text] as const])));
  }
}

/** The parts of one bundle, and what was wrong with those that aren't there. */
class Parts {
  readonly problems: object[] = [];
  readonly #recordingId: string;
  readonly #log: Logger;

  constructor(recordingId: string, log: Logger) {
    this.#recordingId = recordingId;
    this.#log = log;
  }

  /** Null where it can't be had now. Never rejects. */
  async read<T>(part: string, work: () => Promise<T>): Promise<T | null> {
    const late = new AbortController();
    try {
      return await Promise.race([work(), tooLate(late.signal)]);
    } catch (error) {
      const known = error instanceof ReelayError ? error : new ReelayError('internal');
      this.problems.push({ part, code: known.code, message: known.message });
      this.#log.warn({ err: error, recordingId: this.#recordingId, part }, 'a part of a bundle is left out');
      return null;
    } finally {
      late.abort();
    }
  }
}

async function tooLate(signal: AbortSignal): Promise<never> {
  await sleep(partMs, undefined, { signal, ref: false });
  throw new Error(`not there after ${partMs} ms`);
}

/** Null where something that they are about could not be read, or not all of it. */
function findingsOf(
  manifest: Manifest,
  files: readonly FileEntry[] | null,
  sidecars: KnownFiles['sidecars'] | null,
): object[] | null {
  if (files === null || sidecars === null || files.length >= mostFiles) return null;
  if (manifest.chunks.length > mostSidecars) return null;
  // A file may be in both places for a moment; that in the spool is the older one.
  const sizes = new Map(files.map(({ name, bytes }) => [name, bytes]));
  return cheapFindings({ manifest, sidecars, sizes });
}

function logOf({ lines, leftOut, sinceMs }: KeptLines, lost: CallLog['lost']): object {
  return {
    lines: lines.length,
    leftOut,
    lost,
    keptSince: sinceMs === null ? null : new Date(sinceMs).toISOString(),
  };
}

function exemptFor(manifest: Manifest | null, isAdmin: boolean): Parameters<typeof withoutSecrets>[1] {
  return { numbers: [manifest?.from ?? null, manifest?.to ?? null], stacks: isAdmin };
}

async function spooledFiles(path: string): Promise<FileEntry[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  const files: FileEntry[] = [];
  for (const name of names.slice(0, mostFiles)) {
    const found = await stat(join(path, name)).catch(() => null);
    if (found !== null) files.push({ place: 'spool', name, bytes: found.size });
  }
  return files;
}

/** One that is damaged is shown as it is. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
