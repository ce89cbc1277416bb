import type { CallTap, StreamTap } from '../tap/Tap.js';

function nothing(): void {
  // Nothing of this call is recorded.
}

/** Takes the audio of a stream and keeps none of it. */
export const silentStream: StreamTap = {
  address: { call: 0, stream: 0 },
  missed: nothing,
  audio: nothing,
  muted: nothing,
  clear: nothing,
  mark: nothing,
  markEcho: nothing,
  dtmf: nothing,
  clip: nothing,
  clipDone: nothing,
  end: nothing,
};

/** The tap of a call that isn't to be recorded, and of one whose real tap failed. */
export const silentCall: CallTap = {
  recordingId: '',
  startStream: () => silentStream,
  event: nothing,
  pause: nothing,
  end: nothing,
};
