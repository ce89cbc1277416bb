import type * as Sdk from '@livekit/rtc-node';
import type { BridgedCallFacts } from './BridgedCallFacts.js';
import { dtmfCode } from './dtmfTone.js';
import { JoinError, type Room, type RoomEnd, type RoomJoin, type RoomOwner, type Rooms } from './Room.js';

/** What may wait in the SDK's own buffer before a capture is kept waiting, ms; it has to be a multiple of 10. */
const queueMs = 200;
const frameMs = 20;
/** A server that doesn't answer at all is as good as none. */
const connectMs = 8000;
const agentStateAttribute = 'lk.agent.state';

type Track = Sdk.RemoteTrack;
type Publication = Sdk.RemoteTrackPublication;

/** Loads the SDK, which takes 20 MB and starts its threads. Rejects with what `import` says where it isn't installed. */
export async function livekitRooms(): Promise<LiveKitRooms> {
  return new LiveKitRooms(await import('@livekit/rtc-node'));
}

/** Rooms as LiveKit's own SDK joins them. The one file that knows it. */
export class LiveKitRooms implements Rooms {
  readonly #sdk: typeof Sdk;

  constructor(sdk: typeof Sdk) {
    this.#sdk = sdk;
  }

  async join(options: RoomJoin): Promise<Room> {
    const room = new this.#sdk.Room();
    const listener = new RoomListener(this.#sdk, room, options);
    try {
      await this.#connect(room, options.call);
      listener.begin();
      return await this.#publish(room, options, listener);
    } catch (error) {
      listener.stop();
      void room.disconnect().catch(() => undefined);
      throw joinError(error);
    }
  }

  async #connect(room: Sdk.Room, call: BridgedCallFacts): Promise<void> {
    const { url, token } = call.server;
    // Video is nobody's here, so each track is asked for by itself.
    const connected = room.connect(url, token, { autoSubscribe: false, dynacast: false });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${connectMs} ms`)), connectMs);
    });
    try {
      await Promise.race([connected, late]);
    } catch (error) {
      // Nobody would be there who leaves it again.
      connected.then(() => room.disconnect()).catch(() => undefined);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #publish(room: Sdk.Room, { callerRate }: RoomJoin, listener: RoomListener): Promise<Room> {
    const { AudioSource, LocalAudioTrack, TrackPublishOptions, TrackSource } = this.#sdk;
    const source = new AudioSource(callerRate, 1, queueMs);
    const track = LocalAudioTrack.createAudioTrack('phone', source);
    const local = room.localParticipant;
    if (local === undefined) throw new Error('the room has no place for this participant');
    // DTX would have a voice that begins in silence cut at its start, and saves nothing on this side.
    const options = new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE, dtx: false, red: true });
    await local.publishTrack(track, options);
    return new LiveKitRoom({ sdk: this.#sdk, room, local, source, track, listener, rate: callerRate });
  }
}

interface Published {
  readonly sdk: typeof Sdk;
  readonly room: Sdk.Room;
  readonly local: Sdk.LocalParticipant;
  readonly source: Sdk.AudioSource;
  readonly track: Sdk.LocalAudioTrack;
  readonly listener: RoomListener;
  readonly rate: number;
}

class LiveKitRoom implements Room {
  readonly #own: Published;

  constructor(own: Published) {
    this.#own = own;
  }

  async say(samples: Int16Array): Promise<void> {
    const { sdk, source, rate } = this.#own;
    await source.captureFrame(new sdk.AudioFrame(samples, rate, 1, samples.length));
  }

  clear(): void {
    this.#own.source.clearQueue();
  }

  async press(digit: string): Promise<void> {
    const code = dtmfCode(digit);
    if (code >= 0) await this.#own.local.publishDtmf(code, digit);
  }

  async leave(): Promise<void> {
    const { listener, room, track } = this.#own;
    listener.stop();
    await room.disconnect();
    await track.close();
  }
}

/** Tells an owner what happens in a room, in its own words. */
class RoomListener {
  readonly #sdk: typeof Sdk;
  readonly #room: Sdk.Room;
  readonly #owner: RoomOwner;
  readonly #rate: number;
  readonly #voices = new Map<string, { readonly voice: number; readonly stop: () => void }>();
  #next = 0;
  #isOver = false;

  constructor(sdk: typeof Sdk, room: Sdk.Room, { owner, voiceRate }: RoomJoin) {
    this.#sdk = sdk;
    this.#room = room;
    this.#owner = owner;
    this.#rate = voiceRate;
    this.#listen();
  }

  /** Those who were there before. */
  begin(): void {
    for (const participant of this.#room.remoteParticipants.values()) {
      this.#joined(participant);
      for (const publication of participant.trackPublications.values()) this.#published(publication);
    }
  }

  stop(): void {
    this.#isOver = true;
    for (const { stop } of this.#voices.values()) stop();
    this.#voices.clear();
  }

  #listen(): void {
    const { RoomEvent } = this.#sdk;
    const room = this.#room;
    const own =
      <Arguments extends unknown[]>(tell: (...given: Arguments) => void) =>
      (...given: Arguments): void => {
        if (!this.#isOver) tell(...given);
      };
    room.on(
      RoomEvent.ParticipantConnected,
      own((participant) => this.#joined(participant)),
    );
    room.on(
      RoomEvent.ParticipantDisconnected,
      own(({ identity }) => this.#owner.participantLeft(identity)),
    );
    room.on(
      RoomEvent.TrackPublished,
      own((publication) => this.#published(publication)),
    );
    room.on(
      RoomEvent.TrackSubscribed,
      own((track, publication, { identity }) => this.#subscribed(track, publication, identity)),
    );
    room.on(
      RoomEvent.TrackUnsubscribed,
      own((_track, { sid }) => this.#removed(sid)),
    );
    room.on(
      RoomEvent.TrackUnpublished,
      own(({ sid }) => this.#removed(sid)),
    );
    room.on(
      RoomEvent.TrackMuted,
      own(({ sid }) => this.#muted(sid, true)),
    );
    room.on(
      RoomEvent.TrackUnmuted,
      own(({ sid }) => this.#muted(sid, false)),
    );
    room.on(
      RoomEvent.ParticipantAttributesChanged,
      own((changed, { identity }) => this.#attributes(changed, identity)),
    );
    room.on(
      RoomEvent.DtmfReceived,
      own((_code, digit) => this.#owner.digitCame(digit)),
    );
    room.on(
      RoomEvent.Reconnecting,
      own(() => this.#owner.reconnecting(true)),
    );
    room.on(
      RoomEvent.Reconnected,
      own(() => this.#owner.reconnecting(false)),
    );
    room.on(
      RoomEvent.Disconnected,
      own((reason) => this.#disconnected(reason)),
    );
  }

  #joined(participant: Sdk.RemoteParticipant): void {
    const { identity, kind, attributes } = participant;
    this.#owner.participantJoined({ identity, isAgent: kind === this.#sdk.ParticipantKind.AGENT });
    this.#attributes(attributes, identity);
  }

  #attributes(changed: Readonly<Record<string, string>>, identity: string): void {
    const state = changed[agentStateAttribute];
    if (state !== undefined) this.#owner.agentState(identity, state);
  }

  #published(publication: Publication): void {
    if (publication.kind === this.#sdk.TrackKind.KIND_AUDIO) publication.setSubscribed(true);
  }

  #subscribed(track: Track, { sid, muted }: Publication, identity: string): void {
    if (sid === undefined || track.kind !== this.#sdk.TrackKind.KIND_AUDIO) return;
    this.#removed(sid);
    const voice = this.#next++;
    const options = { sampleRate: this.#rate, numChannels: 1, frameSizeMs: frameMs };
    const reader = new this.#sdk.AudioStream(track, options).getReader();
    const stop = (): void => void reader.cancel().catch(() => undefined);
    this.#voices.set(sid, { voice, stop });
    this.#owner.voiceAdded(voice, identity);
    if (muted === true) this.#owner.voiceMuted(voice, true);
    void this.#read(reader, voice);
  }

  async #read(reader: ReadableStreamDefaultReader<Sdk.AudioFrame>, voice: number): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done || this.#isOver) return;
        this.#owner.voiceHeard(voice, value.data);
      }
    } catch {
      // The track is gone, which its own event tells.
    }
  }

  #removed(sid: string | undefined): void {
    const found = sid === undefined ? undefined : this.#voices.get(sid);
    if (sid === undefined || found === undefined) return;
    this.#voices.delete(sid);
    found.stop();
    this.#owner.voiceRemoved(found.voice);
  }

  #muted(sid: string | undefined, isMuted: boolean): void {
    const found = sid === undefined ? undefined : this.#voices.get(sid);
    if (found !== undefined) this.#owner.voiceMuted(found.voice, isMuted);
  }

  #disconnected(reason: Sdk.DisconnectReason): void {
    this.stop();
    this.#owner.left(endOf(this.#sdk, reason));
  }
}

function endOf({ DisconnectReason }: typeof Sdk, reason: Sdk.DisconnectReason): RoomEnd {
  if (reason === DisconnectReason.DUPLICATE_IDENTITY) return 'replaced';
  const ends: readonly Sdk.DisconnectReason[] = [
    DisconnectReason.PARTICIPANT_REMOVED,
    DisconnectReason.ROOM_DELETED,
    DisconnectReason.ROOM_CLOSED,
    DisconnectReason.USER_REJECTED,
    DisconnectReason.CLIENT_INITIATED,
  ];
  return ends.includes(reason) ? 'ended' : 'lost';
}

/** The SDK has a text alone: of the server's answer it holds the status. */
function joinError(error: unknown): JoinError {
  if (error instanceof JoinError) return error;
  // It names the URL that was asked, and with it the token.
  const message = (error instanceof Error ? error.message : String(error)).replace(
    /access_token=[^&\s"')]+/g,
    '…',
  );
  const isDenied = /\b(?:401|403|unauthorized|permission|invalid (?:api key|token))\b/i.test(message);
  return new JoinError(isDenied ? 'denied' : 'unreachable', message, error);
}
