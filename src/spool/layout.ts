/**
 * The names of everything in a recording's folder. They are the same in the spool and in the store:
 *
 *     <account>/<YYYYMMDD>/<callId>/<recordingId>/<index>-audio.wav
 *     <account>/<YYYYMMDD>/<callId>/<recordingId>/<index>-<lane>.wav
 *     <account>/<YYYYMMDD>/<callId>/<recordingId>/<index>-metadata.json
 *     <account>/<YYYYMMDD>/<callId>/<recordingId>/manifest.json
 *     <account>/<YYYYMMDD>/<callId>/<recordingId>/audio.wav
 *
 * Two names exist in the spool only: the chunk that is still growing, and control's note of what the store has confirmed.
 */

/** Folder below the spool that holds the daemons' own files (locks, journals); no account id can begin with a dot. */
export const daemonsFolder = '.reelay';
/** The parts of a daemon's folder. */
export const journalFolder = 'journal';
export const checkpointFolder = 'checkpoints';
export const adoptedFolder = 'adopted';
/** Below the daemons' folder: what could not be read. */
export const quarantineFolder = 'quarantine';
/** Beside them: control's note of what the catalogue may lack. */
export const catalogueNoteName = 'catalogue.json';
/** And the rooms that aren't to be recorded again. */
export const declinedRoomsName = 'rooms.json';
export const manifestName = 'manifest.json';
/** Who has signed the manifest, where somebody has; in the store only. */
export const signatureName = 'manifest.json.sig';
/** The whole call, in the store only. */
export const wholeAudioName = 'audio.wav';
export const uploadName = 'upload.json';

/**
 * @param startMs - wall clock of the recording's first sample, ms since the Unix epoch; the date is UTC
 * @returns the recording's folder, relative to the spool or to the store's root, with forward slashes
 */
export function recordingFolder(recording: {
  readonly accountId: string;
  readonly callId: string;
  readonly recordingId: string;
  readonly startMs: number;
}): string {
  const date = new Date(recording.startMs).toISOString().slice(0, 10).replaceAll('-', '');
  return [recording.accountId, date, recording.callId, recording.recordingId].join('/');
}

/** Whose a recording is, as its folder says: what every log line about it carries. */
export interface FolderIds {
  readonly accountId: string;
  /** The provider's. */
  readonly callId: string;
  readonly recordingId: string;
}

/** @param folder - of {@link recordingFolder} */
export function idsIn(folder: string): FolderIds {
  const [accountId = '', , callId = '', recordingId = ''] = folder.split('/');
  return { accountId, callId, recordingId };
}

/** The lane that all others are summed in, or that there is nothing else than: the chunk itself. */
export const mixLane = 'audio';
/** What any other lane may be called; `src/tap/laneName.ts` gives the names. */
export const laneNamePattern = /^(?!audio$)[a-z0-9][a-z0-9-]{0,39}$/;

/** @param lane - of a room: that of one participant's track */
export function chunkName(index: number, lane: string = mixLane): string {
  return `${index}-${lane}.wav`;
}

const laneFile = /^(0|[1-9]\d*)-([a-z0-9][a-z0-9-]{0,39})\.wav(\.open)?$/;

/** The lane's file that has this name; null for all others, the chunk's own among them. */
export function laneFileNamed(
  name: string,
): { readonly index: number; readonly lane: string; readonly isOpen: boolean } | null {
  const [, index, lane, ending] = laneFile.exec(name) ?? [];
  if (index === undefined || lane === undefined || lane === mixLane) return null;
  return { index: Number(index), lane, isOpen: ending !== undefined };
}

export function sidecarName(index: number): string {
  return `${index}-metadata.json`;
}

/** Ending of a chunk that is still growing. */
export const openExtension = '.open';

/** The growing chunk: a complete WAV file at every moment, its header kept current, but its samples may still change. */
export function openChunkName(index: number, lane: string = mixLane): string {
  return chunkName(index, lane) + openExtension;
}

/** Whether recorder or control may write a file of this name into a recording's folder. */
export function isRecordingName(name: string): boolean {
  return recordingName.test(name);
}

const recordingName =
  /^(?:\d+-(?:[a-z0-9][a-z0-9-]{0,39}\.wav(?:\.open)?|metadata\.json)|manifest(?:\.final)?\.json|manifest\.json\.sig|upload\.json|audio\.wav|portal\.\w+)(?:\.tmp|\.part)?$/;
