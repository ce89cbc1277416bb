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

/* A participant of a LiveKit room, in a process of its own because its client may be lost with it. Does what its parent says. */

export type ToParticipant =
  | { readonly do: 'join'; readonly url: string; readonly token: string }
  | { readonly do: 'say'; readonly seed: number; readonly seconds: number }
  | { readonly do: 'leave' };

export type FromParticipant =
  | { readonly told: 'joined' }
  /** CLOCK_MONOTONIC at which the first sample was given to the client, ms. */
  | { readonly told: 'saying'; readonly sinceMs: number; readonly trackSid: string }
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
  const options = new TrackPublishOptions();
  options.source = TrackSource.SOURCE_MICROPHONE;
  options.dtx = false;
  const publication = await room.localParticipant?.publishTrack(track, options);
  const said = sweeps(seed, seconds);
  const trackSid = publication?.sid ?? '';
  tell({ told: 'saying', sinceMs: Number(process.hrtime.bigint()) / 1e6, trackSid });
  for (let at = 0; at + frameSamples <= said.length && !hasLeft; at += frameSamples)
    await source.captureFrame(new AudioFrame(said.slice(at, at + frameSamples), rate, 1, frameSamples));
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
