/** What can be wrong with a recording. `docs/recordings.md` explains the same set and a test compares the two lists. */
export const findingCodes = {
  manifest_missing: 'There is no manifest',
  manifest_invalid: 'The manifest cannot be read',
  signature_missing: 'The manifest is not signed, and a key was given to check it by',
  signature_wrong: 'The manifest is not what somebody with one of the given keys has signed',
  manifest_sums_wrong: 'Totals of the manifest contradict its own list of chunks',
  not_finished: 'The call is still being recorded',
  failed: 'The recording failed',
  unfinished_chunk: 'A growing chunk was left behind although the recording is over',
  chunk_missing: 'A WAV file that the manifest lists is not there',
  chunk_unlisted: 'A chunk lies in the folder that the manifest does not list',
  chunk_hash_wrong: 'A WAV file is not the one that was sealed',
  chunk_swapped: 'A WAV file holds the audio of another chunk',
  chunk_order_wrong: 'The chunks are not numbered 0, 1, 2 …',
  chunk_position_wrong: 'A chunk does not begin where the one before ends',
  chunk_length_wrong: 'A chunk before the last is not of the configured length',
  chunk_time_wrong: 'The wall clock of a chunk contradicts its position',
  wav_invalid: 'A file is not a PCM16 WAV',
  wav_format_wrong: 'A WAV header names another rate, width or number of channels than the manifest',
  wav_header_wrong: 'The sizes in a WAV header are not those of its file',
  wav_truncated: 'A WAV file ends too early',
  wav_overlong: 'A WAV file is longer than what was sealed',
  sidecar_missing: 'A chunk has no sidecar',
  sidecar_invalid: 'A sidecar cannot be read',
  sidecar_hash_wrong: 'A sidecar is not the one that was sealed',
  sidecar_differs: 'A sidecar and the manifest contradict each other',
  chain_broken: 'A sidecar does not name the hash of the chunk before',
  audio_missing: 'The object that holds the whole call is not there, or the manifest lists none',
  audio_key_wrong: 'The manifest lists an object that is not one of this recording',
  audio_truncated: 'The object that holds the whole call ends too early',
  audio_overlong: 'The object that holds the whole call is longer than what was stored',
  audio_hash_wrong: 'The object that holds the whole call is not the one that was stored',
  audio_chunk_wrong: 'The audio of the whole call holds other samples than the chunk that was sealed',
  chunk_unexpected: 'A chunk has a WAV file although the layout has one file for the whole call',
  lane_missing: 'A lane’s WAV file that the manifest lists is not there',
  lane_unlisted: 'A lane has a WAV file of a chunk for which the manifest does not list it',
  lane_hash_wrong: 'A lane’s WAV file is not the one that was sealed',
  lanes_differ: 'Sidecar and manifest contradict each other about lanes',
  gap_outside: 'A gap lies outside its chunk or on a channel that does not exist',
  gap_overlap: 'Two gaps of one channel overlap',
  gaps_differ: 'The gaps of the manifest are not those of the sidecars',
  completeness_wrong: 'The completeness contradicts the gaps',
  duration_wrong: 'The samples do not fill the time between start and end of the call',
} as const;

export type FindingCode = keyof typeof findingCodes;

export interface Finding {
  readonly code: FindingCode;
  /** The file it was found in. */
  readonly where: string;
  /** The values that contradict each other, for people. */
  readonly detail: string;
}

export function finding(code: FindingCode, where: string, detail = ''): Finding {
  return { code, where, detail };
}

/** A hash as findings show it. */
export function short(hash: string | null): string {
  return hash === null ? 'null' : `${hash.slice(0, 12)}…`;
}
