import {
  AudioFrame,
  AudioSource,
  AudioStream,
  LocalAudioTrack,
  Room,
  RoomEvent,
  TrackKind,
  TrackPublishOptions,
  TrackSource,
  type RemoteTrack,
  type RemoteTrackPublication,
} from '@livekit/rtc-node';
import { dtmfCode } from '../../../src/bridge/dtmfTone.js';
import { Onsets } from './Onsets.js';

/*
 * A scripted agent in a LiveKit room, in a process of its own. It tells when it hears that somebody begins to speak, and then
 * - `answer`: says a short tone,
 * - `recite`: stops what it says without end, as an agent that is interrupted, and says of itself that it listens,
 * - `listen`: does nothing.
 */

export type AgentMode = 'answer' | 'recite' | 'listen';

export type ToAgent =
  | { readonly do: 'join'; readonly url: string; readonly token: string; readonly mode: AgentMode }
  | { readonly do: 'press'; readonly digit: string }
  | { readonly do: 'leave' };

/** All times are those of CLOCK_MONOTONIC, ms. */
export type FromAgent =
  | { readonly told: 'joined' | 'left' }
  /** Somebody began to speak: when that would be played, if it were played as it comes. */
  | { readonly told: 'heard'; readonly identity: string; readonly atMs: number }
  /** It was given to the client for saying, or taken back. */
  | { readonly told: 'answered' | 'stopped'; readonly atMs: number }
  | { readonly told: 'digit'; readonly digit: string }
  | {
      readonly told: 'attributes';
      readonly identity: string;
      readonly attributes: Readonly<Record<string, string>>;
    }
  | { readonly told: 'failed'; readonly message: string };

const rate = 48_000;
const heardRate = 16_000;
const answerMs = 100;
const room = new Room();
const source = new AudioSource(rate, 1, 200);
let mode: AgentMode = 'listen';
/** Changed by what is heard. */
const reciting = { isOn: false };

function tell(message: FromAgent): void {
  process.send?.(message);
}

function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function tone(ms: number, hz: number): AudioFrame {
  const samples = Int16Array.from({ length: (ms * rate) / 1000 }, (_none, i) =>
    Math.round(10_000 * Math.sin((2 * Math.PI * hz * i) / rate)),
  );
  return new AudioFrame(samples, rate, 1, samples.length);
}

async function hear(track: RemoteTrack, identity: string): Promise<void> {
  const onsets = new Onsets(heardRate);
  const stream = new AudioStream(track, { sampleRate: heardRate, numChannels: 1, frameSizeMs: 10 });
  for await (const { data } of stream) {
    const atMs = nowMs();
    const offset = onsets.hear(data);
    if (offset === null) continue;
    tell({ told: 'heard', identity, atMs: atMs + (offset * 1000) / heardRate });
    if (identity.startsWith('phone-')) await react();
  }
}

async function react(): Promise<void> {
  if (mode === 'answer') {
    tell({ told: 'answered', atMs: nowMs() });
    await source.captureFrame(tone(answerMs, 1000));
  } else if (mode === 'recite' && reciting.isOn) {
    reciting.isOn = false;
    source.clearQueue();
    tell({ told: 'stopped', atMs: nowMs() });
    await room.localParticipant?.setAttributes({ 'lk.agent.state': 'listening' });
  }
}

function isReciting(): boolean {
  return reciting.isOn;
}

async function recite(): Promise<void> {
  reciting.isOn = true;
  await room.localParticipant?.setAttributes({ 'lk.agent.state': 'speaking' });
  while (isReciting()) await source.captureFrame(tone(20, 1000));
}

async function join(url: string, token: string): Promise<void> {
  room.on(RoomEvent.TrackPublished, subscribe);
  room.on(RoomEvent.TrackSubscribed, (track, _publication, { identity }) => void hear(track, identity));
  room.on(RoomEvent.DtmfReceived, (_code, digit) => tell({ told: 'digit', digit }));
  room.on(RoomEvent.ParticipantConnected, ({ identity, attributes }) =>
    tell({ told: 'attributes', identity, attributes }),
  );
  await room.connect(url, token, { autoSubscribe: false, dynacast: false });
  for (const { trackPublications } of room.remoteParticipants.values())
    for (const publication of trackPublications.values()) subscribe(publication);
  if (mode !== 'listen') {
    const track = LocalAudioTrack.createAudioTrack('agent', source);
    const options = new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE, dtx: false });
    await room.localParticipant?.publishTrack(track, options);
  }
  tell({ told: 'joined' });
  if (mode === 'recite') await recite();
}

function subscribe(publication: RemoteTrackPublication): void {
  if (publication.kind === TrackKind.KIND_AUDIO) publication.setSubscribed(true);
}

async function obey(message: ToAgent): Promise<void> {
  if (message.do === 'join') {
    ({ mode } = message);
    await join(message.url, message.token);
  } else if (message.do === 'press') {
    await room.localParticipant?.publishDtmf(dtmfCode(message.digit), message.digit);
  } else {
    reciting.isOn = false;
    await room.disconnect();
    tell({ told: 'left' });
    process.exit(0);
  }
}

process.on('message', (message: ToAgent) => {
  obey(message).catch((error: unknown) => tell({ told: 'failed', message: String(error) }));
});
process.on('disconnect', () => process.exit(0));
