import type { GapCause, Manifest } from '../spool/Manifest.js';

const gaps = {
  lost_by_provider: 'lost by the provider: its own clock shows frames that never came',
  between_streams: 'between two streams of the call',
  client_overrun: 'jambonz threw its send buffer away',
  dropped_by_reelay: 'lost by reelay: the recorder or its disk could not keep up',
  journal_damaged: 'the journal was damaged on the disk',
  paused: 'the recording was paused',
  room_left: 'nobody of reelay’s was in the room',
} satisfies Record<GapCause, string>;

const states = {
  recording: 'live',
  uploading: 'uploading',
  complete: 'complete',
  interrupted: 'interrupted',
  failed: 'failed',
} satisfies Record<Manifest['state'], string>;

/** Of `reason`, docs/recordings.md has them all. */
const reasons: Readonly<Record<string, string>> = {
  end_missed: 'the end of the call was missed; all that came is stored',
  process_ended: 'the daemon ended before the call did',
  audio_dropped: 'reelay lost audio itself; the gaps say where',
  room_left: 'the room’s worker or its connection was lost for a while; the gaps say where',
  journal_damaged: 'the journal was damaged on the disk; the gaps say where',
  manifest_lost: 'its manifest was lost and made anew',
  room_gone: 'the room was gone before it could be joined, or nobody made it again',
  room_unreachable: 'the LiveKit server could not be reached any more',
  room_denied: 'the LiveKit server refuses the account’s keys',
  room_join_failed: 'the room could not be joined',
  room_removed: 'somebody removed the recorder from the room',
  room_worker_lost: 'the process that was in the room was lost, again and again',
  sdk_missing: 'LiveKit’s client is not installed beside reelay',
  no_store: 'its account has no store; give it one, what is in the spool follows',
  store_denied:
    'the store refuses the account’s credentials, or its bucket does not exist; what was recorded waits in the spool',
  store_changed: 'part of it lies in a store that is not the account’s any more; configure that place again',
  unknown_account: 'nobody knows the account that the call named',
  account_mismatch: 'the call named another account than the one that it proved to be',
  spool_full: 'the spool was full when the call began',
  overloaded: 'the machine was overloaded when the call began',
};

const recordings: Readonly<Record<string, string>> = {
  running: 'recording',
  paused: 'paused',
  stopped: 'recording stopped',
  awaited: 'waits to be recorded',
  off: 'not recorded',
};

const upstreams: Readonly<Record<string, string>> = {
  none: 'no bot',
  connecting: 'bot is being called',
  open: 'bot connected',
  lost: 'bot lost',
};

const presences: Readonly<Record<string, string>> = {
  joining: 'on its way into the room',
  joined: 'in the room',
  silent: 'in the room, nobody has published yet',
  audible: 'in the room, hears somebody',
  reconnecting: 'connection is being made anew',
};

const events: Readonly<Record<string, string>> = {
  stream_started: 'stream began',
  stream_ended: 'stream ended',
  paused: 'paused',
  resumed: 'resumed',
  recording_stopped: 'recording stopped',
  dtmf: 'key pressed',
  mark: 'mark',
  mark_echo: 'mark played',
  clear: 'clear (barge-in)',
  upstream_lost: 'bot lost',
  upstream_ended: 'bot hung up',
  upstream_overflow: 'bot too slow',
  room_joining: 'reelay is on its way into the room',
  join_failed: 'the room could not be joined',
  room_joined: 'reelay is in the room',
  room_left: 'reelay has lost the room',
  room_replaced: 'another room of the same name goes on',
  room_emptied: 'everybody had left',
  room_finished: 'the room was closed',
  lane_failed: 'a track could not be heard',
  first_audio: 'first audio',
  nobody_published: 'nobody has published yet',
  lane_joined: 'joined',
  lane_left: 'left',
  lane_muted: 'muted',
  lane_unmuted: 'unmuted',
  lane_adjusted: 'samples put in or left out, to keep to the clock',
  reconnecting: 'connection is being made anew',
  reconnected: 'connected again',
  lane_delay: 'a jitter buffer holds so much',
  concealed: 'lost packets were concealed',
};

/** The code of something, in words; one that this version doesn't know stays as it is. */
export const explain = {
  gap: (cause: string): string => inWords(gaps, cause),
  state: (state: string): string => inWords(states, state),
  reason: (reason: string): string => inWords(reasons, reason),
  recording: (recording: string): string => inWords(recordings, recording),
  upstream: (upstream: string): string => inWords(upstreams, upstream),
  presence: (presence: string): string => inWords(presences, presence),
  event: (type: string): string => inWords(events, type),
};

function inWords(words: Readonly<Record<string, string>>, code: string): string {
  return words[code] ?? code.replaceAll('_', ' ');
}
