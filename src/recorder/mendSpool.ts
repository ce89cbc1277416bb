import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Logger } from 'pino';
import { documentSchemas } from '../spool/documentSchemas.js';
import { writeDurably } from '../spool/durable.js';
import {
  chunkName,
  daemonsFolder,
  idsIn,
  isRecordingName,
  manifestName,
  openExtension,
  quarantineFolder,
  sidecarName,
  uploadName,
} from '../spool/layout.js';
import { makeWay } from '../spool/makeWay.js';
import type { Manifest, ManifestChunk, Sidecar } from '../spool/Manifest.js';
import type { Quarantine } from '../spool/Quarantine.js';
import { chunkSaidBy, folderSaidBy, readDocument } from '../spool/readDocument.js';
import type { SpoolEvent } from '../spool/SpoolEvent.js';
import { spooledFolders } from '../spool/spooledFolders.js';
import { notedChunks } from './notedChunks.js';
import { endedManifest, lanesFrom, manifestFrom } from './rebuiltManifest.js';

export interface MendOptions {
  readonly spoolDir: string;
  /** The daemon's own folder. */
  readonly daemonDir: string;
  readonly quarantine: Quarantine;
  /** Whether a recording has its recorder here. */
  readonly has: (recordingId: string) => boolean;
  readonly announce: (event: SpoolEvent) => void;
  readonly log: Logger;
}

/**
 * Looks at every recording in the spool that no journal speaks of any more, and brings to an end what somebody or something has
 * cut off from its recorder: a manifest that says `recording` for ever, one that is damaged or another recording's. What can be
 * said truthfully from the files that are there is said; the rest is set aside.
 *
 * Does nothing while another daemon has a folder here, since nobody but that one knows its recordings.
 *
 * @yields between recordings
 */
export async function* mendSpool(options: MendOptions): AsyncGenerator<void, void, void> {
  if (!isAlone(options)) return;
  for await (const folder of spooledFolders(options.spoolDir)) {
    try {
      await mendFolder(folder, options);
    } catch (error) {
      // One that is stored goes, perhaps while it is looked at.
      if (existsSync(join(options.spoolDir, folder)))
        options.log.warn(
          { err: error, ...idsIn(folder), folder },
          'a recording in the spool cannot be looked at',
        );
    }
    yield;
  }
}

/** What is there besides the own folder is another daemon's that lives, or one whose folder comes in a moment. */
function isAlone({ spoolDir, daemonDir }: MendOptions): boolean {
  const mine = [basename(daemonDir), quarantineFolder];
  const entries = readdirSync(join(spoolDir, daemonsFolder), { withFileTypes: true });
  return entries.every((entry) => !entry.isDirectory() || mine.includes(entry.name));
}

async function mendFolder(folder: string, options: MendOptions): Promise<void> {
  const { spoolDir, quarantine, has } = options;
  const path = join(spoolDir, folder);
  const recordingId = basename(folder);
  if (has(recordingId) || !readdirSync(path).some(isRecordingName)) return;
  makeWay(quarantine, spoolDir, folder);
  const found = await readDocument(join(path, manifestName), documentSchemas.manifest);
  const isOver = found.state === 'read' && found.value.state !== 'recording' && !isWithoutEnd(found.value);
  const isHere = found.state === 'read' && folderSaidBy(found.value) === folder;
  if (isOver && isHere) return;
  const noted = await notedChunks(join(path, uploadName));
  // The store has all of it, and control is about to take the folder away.
  if (found.state === 'missing' && noted === 'finished') return;
  const sidecars = await ownSidecars(path, folder);
  // Since the manifest was read, its recorder may have begun or ended, here or in a daemon that has just come.
  if (has(recordingId) || !isAlone(options)) return;
  let manifest = isHere ? found.value : null;
  if (manifest === null) {
    manifest = manifestFrom([...sidecars.values()]);
    if (manifest === null) {
      setAsideWhole(path, found.state, quarantine);
      return;
    }
    if (found.state !== 'missing') quarantine.setAside(join(path, manifestName), whyManifest(found.state));
  }
  const stored = isHere || noted === 'finished' ? [] : noted;
  const ended = await end({ folder, path, manifest, sidecars, stored, isHere }, options);
  options.announce({ type: 'ended', folder, manifest: ended });
  const { callId, accountId, provider, state, reason } = ended;
  const about = { recordingId, callId, accountId, provider, state, reason };
  options.log.warn(about, 'a recording that had lost its recorder has been ended');
}

/** Its recorder meant to write it once more. */
function isWithoutEnd({ state, endTime }: Manifest): boolean {
  return state === 'failed' && endTime === null;
}

function whyManifest(state: 'read' | 'unreadable'): string {
  return state === 'read' ? 'a manifest of another recording' : 'a manifest that cannot be read';
}

/** Audio of which nobody can say whose it is. */
function setAsideWhole(path: string, state: 'missing' | 'unreadable' | 'read', quarantine: Quarantine): void {
  const names = readdirSync(path).filter(isRecordingName);
  if (state === 'missing' && names.length === 0) return;
  const why =
    state === 'read'
      ? 'its manifest says that it belongs elsewhere'
      : 'neither a manifest nor a sidecar says what it is';
  quarantine.setAside(path, why);
}

/** Sidecars that can be read and are this recording's, by index. */
async function ownSidecars(path: string, folder: string): Promise<Map<number, OwnSidecar>> {
  const found = new Map<number, OwnSidecar>();
  for (const name of readdirSync(path)) {
    if (!/^\d+-metadata\.json$/.test(name)) continue;
    const read = await readDocument(join(path, name), documentSchemas.sidecar);
    if (read.state !== 'read' || name !== sidecarName(read.value.index)) continue;
    if (folderSaidBy(read.value) === folder) found.set(read.value.index, { ...read.value, own: read.sha256 });
  }
  return found;
}

type OwnSidecar = Sidecar & { readonly own: string };

interface Orphan {
  readonly folder: string;
  readonly path: string;
  readonly manifest: Manifest;
  readonly sidecars: ReadonlyMap<number, OwnSidecar>;
  /** Chunks that control has noted as stored, where the manifest that listed them is gone. */
  readonly stored: readonly ManifestChunk[];
  /** The manifest is the recorder's own, as far as it goes. */
  readonly isHere: boolean;
}

/**
 * Lists what is proven, from the first chunk on without a hole, and says in the manifest that this is the end. A growing chunk, or a
 * sealed one without its sidecar, says nothing of whose it is: audio that might be another account's is set aside.
 */
async function end(orphan: Orphan, { quarantine }: MendOptions): Promise<Manifest> {
  const { path, sidecars, stored, isHere } = orphan;
  let { manifest } = orphan;
  const chunks = isHere ? [...manifest.chunks] : [];
  const listedBefore = chunks.length;
  for (let position = chunks.reduce((sum, { samples }) => sum + samples, 0); ;) {
    const index = chunks.length;
    const known = stored.find((each) => each.index === index) ?? listed(sidecars.get(index));
    if (known?.startSample !== position) break;
    chunks.push(known);
    position += known.samples;
  }
  const names = new Set(
    chunks.flatMap(({ index, lanes = [] }) => [
      chunkName(index),
      ...lanes.map(({ lane }) => chunkName(index, lane)),
    ]),
  );
  for (const name of readdirSync(path)) {
    const isAudio = name.endsWith(openExtension) || /^\d+-[a-z0-9-]+\.wav$/.test(name);
    if (isAudio && !names.has(name))
      quarantine.setAside(join(path, name), 'audio of which nothing says any more whose it is');
  }
  const gaps = isHere ? manifest.gaps : [...sidecars.values()].flatMap((each) => each.gaps);
  const reason = isHere ? 'journal_damaged' : 'manifest_lost';
  const { lanes } = manifest;
  const others = [...sidecars.values()].filter(
    ({ index }) => isHere && index >= listedBefore && index < chunks.length,
  );
  const ofRoom = lanes === undefined ? {} : { lanes: lanesFrom(lanes, others) };
  manifest = endedManifest({ ...manifest, ...ofRoom, gaps }, chunks, reason);
  await writeDurably(join(path, manifestName), JSON.stringify(manifest, null, 2) + '\n');
  return manifest;
}

function listed(sidecar: OwnSidecar | undefined): ManifestChunk | undefined {
  if (sidecar === undefined) return undefined;
  return chunkSaidBy(sidecar, sidecar.own);
}
