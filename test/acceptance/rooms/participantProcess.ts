import {
  AudioFrame,
  AudioSource,
  LocalAudioTrack,
  Room,
  RoomEvent,
  TrackPublishOptions,
  TrackSource,
} from '@livekit/rtc-node';
import { rate, sweeps } from './sweeps.js';

/*
 * A participant of a LiveKit room, in a process of its own because its client may be lost with it. Does what its parent says. It publishes
 * sweeps and no speech, because where it lies is found by cross-correlation: that of a voice has a peak for each of its pitch periods, and none
 * in its pauses, while of a sweep there is one, as narrow as can be.
 */

export type ToParticipant =
  | { readonly do: 'join'; readonly url: string; readonly token: string }
  | { readonly do: 'say'; readonly seed: number; readonly seconds: number }
  | { readonly do: 'leave' };

export type FromParticipant =
  | { readonly told: 'joined' }
  /** CLOCK_MONOTONIC at which the first sample was given to the client, ms. */
  | { readonly told: 'saying'; readonly sinceMs: number; readonly trackSid: string }
  /** From this sample on it was given so much later than was due, ms: the client had run dry. */
  | { readonly told: 'slipped'; readonly seed: number; readonly at: number; readonly byMs: number }
  | { readonly told: 'left' }
  | { readonly told: 'event'; readonly event: string }
  | { readonly told: 'failed'; readonly message: string };

const frameSamples = rate / 50;
/** What the client may hold, ms: a process that is held up for less leaves no hole. */
const queueMs = 200;

const room = new Room();
/** Set from outside while somebody speaks. */
let hasLeft = false as boolean;

for (const event of [RoomEvent.Reconnecting, RoomEvent.Reconnected, RoomEvent.Disconnected])
  room.on(event, () => tell({ told: 'event', event }));

function tell(message: FromParticipant): void {
  process.send?.(message);
}

async function say(seed: number, seconds: number): Promise<void> {
  const source = new AudioSource(rate, 1, queueMs);
  const track = LocalAudioTrack.createAudioTrack('microphone', source);
  // Enough for the codec to keep the wave as it was: at its usual rate it keeps how it sounds, in which little is found again.
  const options = new TrackPublishOptions({ audioEncoding: { maxBitrate: 128_000n } });
  options.source = TrackSource.SOURCE_MICROPHONE;
  options.dtx = false;
  const publication = await room.localParticipant?.publishTrack(track, options);
  const said = sweeps(seed, seconds);
  const trackSid = publication?.sid ?? '';
  const sinceMs = nowMs();
  tell({ told: 'saying', sinceMs, trackSid });
  const frameMs = (frameSamples * 1000) / rate;
  let slippedMs = 0;
  for (let at = 0; at + frameSamples <= said.length && !hasLeft; at += frameSamples) {
    // What the client has is played out by now, if this is later than its end: meanwhile it has sent silence.
    const lateMs = nowMs() - (sinceMs + slippedMs + (at / frameSamples) * frameMs);
    if (lateMs > 0 && at > 0) tell({ told: 'slipped', seed, at, byMs: (slippedMs += lateMs) });
    await source.captureFrame(new AudioFrame(said.slice(at, at + frameSamples), rate, 1, frameSamples));
  }
}

/** CLOCK_MONOTONIC, ms. */
function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

async function obey(message: ToParticipant): Promise<void> {
  switch (message.do) {
    case 'join':
      await room.connect(message.url, message.token, { autoSubscribe: false, dynacast: false });
      tell({ told: 'joined' });
      return;
    case 'say':
      await say(message.seed, message.seconds);
      return;
    case 'leave':
      hasLeft = true;
      await room.disconnect();
      tell({ told: 'left' });
      process.exit(0);
  }
}

process.on('message', (message: ToParticipant) => {
  obey(message).catch((error: unknown) => tell({ told: 'failed', message: String(error) }));
});
process.on('disconnect', () => process.exit(0));
