/**
 * The one catalogue of errors. Every error that an operator can meet, in a log line, an HTTP answer or a manifest's
 * `reason`, has a code here; `docs/errors.md` explains the same set and a test compares the two lists.
 */
export const errorCodes = {
  // Configuration and command line
  config_invalid: 'The configuration is not valid',
  config_unreadable: 'The configuration file cannot be read',
  // What arrives on a media socket
  frame_not_json: 'A text frame is not JSON',
  frame_not_object: 'A text frame is JSON but not an object with an event or type',
  frame_binary: 'A binary frame came on a socket that carries text only',
  event_out_of_order: 'A message came before the start message, after the stop, or twice',
  event_unknown: 'A message has an event that this dialect does not define; it was passed on',
  stream_mismatch: 'A message names a stream other than the one its socket started',
  start_invalid: 'The start message lacks something or holds something that cannot be used',
  start_timeout: 'A socket sent no start message in time',
  call_id_invalid: 'A call or stream id has characters that cannot become part of an object key',
  payload_not_base64: 'A media payload is not base64',
  payload_empty: 'A media payload holds no audio',
  payload_odd: 'A 16-bit payload has an odd number of bytes',
  payload_has_header: 'A media payload begins with a WAV header, which is played as noise',
  payload_oversized: 'A message is larger than its socket accepts',
  audio_too_fast: 'A socket sends audio faster than it can have been spoken',
  timestamp_invalid: 'A media timestamp is not a number of milliseconds',
  timestamp_backwards: 'A media timestamp lies before audio that was already placed',
  timestamp_absurd: 'A media timestamp jumps further than a call can last',
  sample_rate_invalid: 'A sample rate is missing or not one that audio can have',
  websocket_violation: 'A peer broke the WebSocket protocol itself',
  stream_failed: 'A stream ended because handling it failed inside reelay',
  track_invalid: 'A media message names a track that this dialect does not define',
  mark_invalid: 'A mark has no name, or a name that cannot be echoed',
  dtmf_invalid: 'A DTMF message does not hold exactly one of 0-9, *, # and A-D',
  clip_invalid: 'A playAudio command lacks something that its client needs',
  clip_unreadable: 'The audio of a playAudio command is in a form that can be played but not recorded',
  // Audio files and codecs
  wav_invalid: 'A WAV file is damaged or in a form that cannot be read',
  wav_too_long: 'Audio does not fit into a WAV file, which holds less than 4 GiB',
  speech_unreadable: 'An audio file is neither a WAV nor an Ogg Opus file that can be read',
  opus_invalid: 'Opus audio, or a parameter of its codec, cannot be used',
  // Who may come in
  path_unknown: 'No such path on the media port',
  signature_missing: 'The upgrade carries no signature',
  signature_invalid: 'The signature matches none of the account secrets and URL candidates',
  credentials_invalid: 'The Basic authorization is missing or wrong',
  account_unknown: 'The call names an account that is not configured',
  account_mismatch: 'The call names an account other than the one that authenticated its socket',
  account_loopback_only: 'An account without secrets is served on loopback only',
  token_missing: 'The account requires a start token and the stream carries none',
  token_invalid: 'The start token is forged, expired, used, or was made for another call',
  too_many_streams: 'The limit of calls or of sockets without a start message is reached',
  overloaded: 'The machine is short of CPU, memory or ring; new calls go unrecorded, or are refused',
  provider_stalled: 'A provider took nothing of what waited for it for too long; its socket was given up',
  upstream_stalled: 'A bot took nothing of what waited for it for too long; its socket was given up',
  draining: 'The daemon is ending and takes no new streams',
  // The bot's side
  upstream_unreachable: 'The connection to the bot could not be opened',
  upstream_lost: 'The connection to the bot broke',
  upstream_overflow: 'The bot reads too slowly; frames for it were dropped',
  upstream_message_invalid:
    'The bot sent something that the provider refuses or cannot play, or asked for what cannot be done',
  prompt_unplayable: 'The prompt that an account has for its callers can’t be played on this stream',
  returns_not_configured: 'The bot sent audio in a form that the account does not configure',
  // Rooms
  bridge_failed: 'A call could not be carried into its room, or not any longer',
  bridge_unavailable: 'No bridge process can take a call just now',
  sdk_missing: 'The package @livekit/rtc-node cannot be loaded, so no room can be joined',
  room_unreachable: 'The LiveKit server cannot be reached',
  room_denied: 'The LiveKit server refuses the keys of the account',
  room_unknown: 'There is no such room on the LiveKit server',
  room_gone: 'The room was gone before it could be joined, or did not come back',
  room_removed: 'The recorder was removed from the room',
  room_join_failed: 'A room could not be joined',
  room_worker_lost: 'A process that joins rooms was lost; another one joins its rooms again',
  lanes_full: 'A room has more tracks than are recorded',
  rooms_full: 'As many rooms are being recorded as the processes for them may have',
  // Recording
  tap_overflow: 'The ring between relay and recorder was full; recording frames were dropped',
  no_store: 'The account has no store, so its recordings cannot be kept',
  journal_torn: 'The journal ends in a torn record, which was cut off',
  journal_unreadable: 'A journal segment cannot be read; it was set aside',
  spool_locked: 'The spool folder belongs to a daemon that is running',
  spool_unreadable: 'Something in the spool cannot be read; it was set aside and nothing of it deleted',
  spool_unwritable: 'The spool cannot be written',
  store_unavailable: 'The store cannot be reached, answers with an error, or is too slow',
  store_denied: 'The store refuses the credentials of the account, or its bucket does not exist',
  store_refused: 'The store refuses a request that no further try can mend',
  store_changed: "A recording is half stored in a place that is not its account's store any more",
  upload_gone: 'The store no longer knows a multipart upload',
  unknown_account: 'The call named an account that nobody knows, so its recording cannot be kept',
  spool_full: 'The spool has used up its budget; the call was relayed and not recorded',
  accounts_unavailable: 'The endpoint that knows the accounts cannot be asked',
  object_missing: 'The store has no object under this key',
  object_key_invalid: 'A key would lead out of its store',
  checksum_mismatch: 'The bytes of a file are not what its checksum says',
  spool_leftover: 'A stored recording has files in the spool that nobody asked for; they were kept',
  chunk_missing: 'A chunk that the manifest lists is neither in the spool nor in the store',
  realtime_refused: 'The thread that moves frames does not run in real time, as media.realtime wants it to',
  thread_lost: 'A worker thread ended or stopped answering and was started again',
  // Control port
  unauthorized: 'The key is missing or wrong',
  forbidden: 'The key may not be used for this',
  too_many_attempts: 'Too many wrong keys came from this address',
  not_found: 'There is nothing under this name for this key',
  range_unsatisfiable: 'The requested range lies outside the recording',
  recording_failed: 'The recording failed and has no audio',
  recording_held: 'The recording is held and may not be deleted',
  recording_unstored: 'The recording is not over, or not yet in its store',
  recording_deleted: 'The recording was deleted',
  recording_not_live: 'The recording is not one that is under way here, or not in a state for this',
  internal: 'The request could not be answered; the log says why',
  starting: 'The list of recordings is still being rebuilt',
  too_many_downloads: 'As much audio is being sent as the control port sends at once',
  request_invalid: 'The request is not one this route understands',
  // The catalogue
  catalogue_unavailable: 'The list of recordings cannot be asked now',
  catalogue_locked: 'The file of the catalogue is open in another process',
  catalogue_refused: 'The catalogue does not take a recording',
  catalogue_unreadable: 'The file of the catalogue cannot be read; it was set aside and is built anew',
  // Verification
  verify_failed: 'A recording is not whole',
  recording_unknown: 'No recording with this id lies where it was searched',
  recording_empty: 'The recording holds no audio',
  target_ambiguous: 'The command works on one recording and there are several',
  target_unsupported: 'Recordings are read from folders and from s3:// buckets',
  output_invalid: 'The output file cannot be written there',
} as const;

export type ErrorCode = keyof typeof errorCodes;

/** An error with a stable code, the value that caused it, and what to do about it. Match on `code`, never on text. */
export class ReelayError extends Error {
  readonly code: ErrorCode;
  /** The offending value, shortened; never a secret. */
  readonly value: string | undefined;
  /** What the reader can do about it, one sentence. */
  readonly remedy: string | undefined;

  constructor(code: ErrorCode, details: { value?: unknown; remedy?: string; cause?: unknown } = {}) {
    const value = details.value === undefined ? undefined : shorten(details.value);
    const text = [errorCodes[code], value === undefined ? '' : `: ${value}`, '.'].join('');
    super(details.remedy === undefined ? text : `${text} ${details.remedy}`, { cause: details.cause });
    this.name = 'ReelayError';
    this.code = code;
    this.value = value;
    this.remedy = details.remedy;
  }
}

function shorten(value: unknown): string {
  const text =
    typeof value === 'string' ? value : ((JSON.stringify(value) as string | undefined) ?? '(no value)');
  return text.length > 200 ? `${text.slice(0, 200)}… (${text.length} characters)` : text;
}
