/**
 * What programs may import from `reelay`: the documents it writes, the checks on them, its errors, and the simulated caller
 * and bot for tests of one's own. The daemon itself is the command `reelay serve`.
 */
export { errorCodes, ReelayError, type ErrorCode } from './config/ReelayError.js';
export type {
  Channel,
  ChunkLane,
  Gap,
  GapCause,
  LanePresence,
  Manifest,
  ManifestChunk,
  ManifestEvent,
  ManifestLane,
  ManifestRoom,
  ManifestStream,
  PlayoutError,
  RecordingLayout,
  RecordingState,
  Sidecar,
  SidecarLane,
  WholeAudio,
} from './spool/Manifest.js';
export type { SpeechDocument } from './control/rendition/speechDocument.js';
export type { WaveformDocument } from './control/rendition/waveformDocument.js';
export type { FileRange, RecordingFiles } from './spool/RecordingFiles.js';
export {
  type AudioOnDisk,
  type ChunkOnDisk,
  type DocumentOnDisk,
  RecordingFolder,
  type RecordingOnDisk,
  recordingsBelow,
  type WavOnDisk,
} from './spool/RecordingFolder.js';
export { type ObjectSource, RecordingObjects } from './spool/RecordingObjects.js';
export type { WholeAudioOnDisk } from './spool/WholeAudioOnDisk.js';
export { findingCodes, verify, type Finding, type FindingCode } from './spool/Verification.js';
export { Bot, type BotOptions } from './simulators/Bot.js';
export { BotCall } from './simulators/BotCall.js';
export { CallerAudio } from './simulators/CallerAudio.js';
export type { CallResult, StreamResult } from './simulators/CallResult.js';
export { JambonzCaller } from './simulators/JambonzCaller.js';
export { TwilioCaller } from './simulators/TwilioCaller.js';
