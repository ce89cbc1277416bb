/** The documents that lie beside the audio: one sidecar per chunk, one manifest per recording. Formats are a contract. */

/** Positions and lengths are samples at the recording's rate, per channel. */
export interface Gap {
  readonly channel: number;
  readonly startSample: number;
  /** 0 where something was skipped. */
  readonly samples: number;
  readonly cause: GapCause;
  /** Samples that were left out right here, so that what follows comes earlier in the recording than it did in the call. */
  readonly skippedSamples?: number | undefined;
}

export type GapCause =
  /** The provider's own clock shows frames that never came. */
  | 'lost_by_provider'
  /** Time between two streams of one call. */
  | 'between_streams'
  /** jambonz threw its client buffer away. */
  | 'client_overrun'
  /** The ring between relay and recorder was full. */
  | 'dropped_by_reelay'
  /** The journal was damaged on the disk before what it held had been rendered. */
  | 'journal_damaged'
  /** Somebody paused the recording. */
  | 'paused'
  /** Nobody of reelay's was in the room: it had not joined yet, or its worker or the connection was lost. */
  | 'room_left';

export interface Channel {
  readonly role: 'caller' | 'bot' | 'mixed';
}

/** `<index>-metadata.json`: the chunk's sidecar. */
export interface Sidecar {
  readonly schema: 1;
  readonly recordingId: string;
  readonly callId: string;
  readonly accountId: string;
  readonly provider: string;
  readonly index: number;
  /** ISO 8601, wall clock of the chunk's first sample. */
  readonly startTime: string;
  readonly startSample: number;
  readonly samples: number;
  readonly sampleRate: number;
  readonly channels: readonly Channel[];
  readonly gaps: readonly Gap[];
  /** Size of the WAV file. */
  readonly bytes: number;
  /** Hex, of the whole WAV file. */
  readonly sha256: string;
  /** The `sha256` of the chunk before, null for the first. */
  readonly previousSha256: string | null;
  /** Of a room: who was there at any time of the chunk, a file each, by name. */
  readonly lanes?: readonly SidecarLane[] | undefined;
}

/** `<index>-<lane>.wav`: one participant's track, as long as the chunk; silence where it wasn't there. */
export interface SidecarLane {
  readonly lane: string;
  readonly identity: string;
  readonly source: string;
  /** The same as the chunk's. */
  readonly samples: number;
  /** Size of the WAV file. */
  readonly bytes: number;
  /** Hex, of the whole WAV file. */
  readonly sha256: string;
  /** On channel 0. */
  readonly gaps: readonly Gap[];
  /** So many samples, of which it was told in this chunk, were lost on the network and made up by the participant's jitter buffer. */
  readonly concealedSamples?: number | undefined;
}

export type RecordingState = 'recording' | 'uploading' | 'complete' | 'interrupted' | 'failed';

/** An entry of the manifest's chunk list. */
export interface ManifestChunk {
  readonly index: number;
  readonly startSample: number;
  readonly samples: number;
  readonly bytes: number;
  readonly sha256: string;
  /** Hex, of the sidecar file. */
  readonly sidecarSha256: string;
  /** Of a room: the chunk's lanes, by name. */
  readonly lanes?: readonly ChunkLane[] | undefined;
}

/** A lane's own file of a chunk. */
export type ChunkLane = Pick<SidecarLane, 'lane' | 'bytes' | 'sha256'>;

export interface ManifestStream {
  readonly streamId: string;
  readonly role: 'call' | 'oneway' | 'tap' | 'lane';
  readonly startSample: number;
  /** Null while it runs. */
  readonly endSample: number | null;
  readonly endReason: 'stop' | 'closed' | 'lost' | 'relay' | null;
}

export interface ManifestEvent {
  readonly type: string;
  readonly sample: number;
  readonly [detail: string]: unknown;
}

/** A room as LiveKit names it. */
export interface ManifestRoom {
  readonly name: string;
  /** Null where the server never told it. */
  readonly sid: string | null;
}

/** A participant's track over the whole recording. */
export interface ManifestLane {
  /** Part of the names of its files. */
  readonly lane: string;
  readonly identity: string;
  readonly name: string;
  readonly kind: string;
  readonly source: string;
  /** When it was there, in order; who comes back has one more. */
  readonly presence: readonly LanePresence[];
  /** On channel 0; within the chunks that it has a file of. */
  readonly gaps: readonly Gap[];
}

export interface LanePresence {
  readonly streamId: string;
  /** The participant's own, which is a new one each time. */
  readonly sid: string;
  readonly joinedSample: number;
  /** Null while it is there. */
  readonly leftSample: number | null;
  readonly endReason: ManifestStream['endReason'];
}

export type RecordingLayout = 'chunks' | 'single' | 'both' | 'jambonz';

/** The whole call in one object. */
export interface WholeAudio {
  /** Below the store's root. */
  readonly key: string;
  readonly format: 'wav' | 'mp3';
  readonly bytes: number;
  /** Hex, of the whole object. */
  readonly sha256: string;
}

/** How far the playout model was off the provider's mark echoes, ms. */
export interface PlayoutError {
  readonly marks: number;
  readonly medianMs: number | null;
  readonly maxMs: number | null;
}

/** `manifest.json`. */
export interface Manifest {
  readonly schema: 1;
  readonly recordingId: string;
  readonly callId: string;
  readonly accountId: string;
  readonly provider: string;
  readonly state: RecordingState;
  /** Why the state is `failed` or `interrupted`; null otherwise. */
  readonly reason: string | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly direction: string | null;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** ISO 8601, wall clock of sample 0. */
  readonly startTime: string;
  /** ISO 8601; null while the call is up. */
  readonly endTime: string | null;
  readonly sampleRate: number;
  readonly channels: readonly Channel[];
  /** Samples per channel; while the call is up, of the sealed chunks. */
  readonly samples: number;
  readonly durationSeconds: number;
  readonly chunkSeconds: number;
  readonly chunks: readonly ManifestChunk[];
  readonly streams: readonly ManifestStream[];
  readonly events: readonly ManifestEvent[];
  readonly gaps: readonly Gap[];
  /** Recorded samples ÷ samples of the call, those that were skipped included; per channel. */
  readonly completeness: readonly number[];
  readonly playout: PlayoutError;
  /** Which objects the recording becomes; a manifest without it is of a version that knew `chunks` only. */
  readonly layout?: RecordingLayout | undefined;
  /**
   * Every object that holds the whole call, once it is stored. The first is lossless: a WAV whose header is `wholeHeaderBytes`
   * long and whose audio is that of the chunks, one after the other.
   */
  readonly audio?: readonly WholeAudio[] | undefined;
  /** The account that the call named, where that is not `accountId`. */
  readonly claimedAccountId?: string | undefined;
  /** Where the call was a room; `<index>-audio.wav` is the sum of its lanes then. */
  readonly room?: ManifestRoom | undefined;
  /** Of a room, by name. */
  readonly lanes?: readonly ManifestLane[] | undefined;
}
