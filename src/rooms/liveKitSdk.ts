import type * as Rtc from '@livekit/rtc-node';
import type { ParticipantFacts } from '../tap/TapRecord.js';
import { Hearing } from './Hearing.js';
import { frameMs, type JoinedRoom, type JoinOptions, type RoomEvents, type RoomSdk } from './RoomSdk.js';
import { bufferReport } from './trackStatistics.js';

type Sdk = typeof Rtc;

/**
 * LiveKit's own client. A panic in its native library aborts the process, one thread of a process may load it, and its leaks are its
 * process's: so this is imported by processes that do nothing else, and never by the daemon.
 *
 * @throws Error where the package isn't installed, or has no library for this machine
 */
export async function loadLiveKitSdk(): Promise<RoomSdk> {
  const rtc = await import('@livekit/rtc-node');
  return { join: async (options, events) => await LiveKitRoom.join(rtc, options, events) };
}

/** @returns whether somebody of this kind is no party of a conversation, but records or streams it. An ingress is one: it talks into it */
export function isBystander(kind: string): boolean {
  return kind === 'EGRESS';
}

class LiveKitRoom implements JoinedRoom {
  readonly #rtc: Sdk;
  readonly #room: Rtc.Room;
  readonly #events: RoomEvents;
  readonly #sampleRate: number;
  readonly #hearing: Hearing;
  readonly #mostLanes: number;
  #isLeaving = false;

  static async join(rtc: Sdk, options: JoinOptions, events: RoomEvents): Promise<LiveKitRoom> {
    const { url, token } = options;
    const room = new LiveKitRoom(rtc, options, events);
    // Without auto-subscription: it would fetch everybody's video, too.
    await room.#room.connect(url, token, { autoSubscribe: false, dynacast: false });
    room.#subscribeToAll();
    return room;
  }

  private constructor(rtc: Sdk, { sampleRate, mostLanes }: JoinOptions, events: RoomEvents) {
    this.#rtc = rtc;
    this.#room = new rtc.Room();
    this.#sampleRate = sampleRate;
    this.#mostLanes = mostLanes;
    this.#hearing = new Hearing(mostLanes);
    this.#events = events;
    this.#listen();
  }

  get others(): number {
    const all = [...this.#room.remoteParticipants.values()];
    return all.filter((each) => !isBystander(this.#kindOf(each))).length;
  }

  async sid(): Promise<string> {
    return await this.#room.getSid();
  }

  async leave(): Promise<void> {
    this.#isLeaving = true;
    await this.#room.disconnect();
  }

  #listen(): void {
    const { RoomEvent } = this.#rtc;
    const events = this.#events;
    const others = (): void => events.othersChanged(this.others);
    this.#room
      .on(RoomEvent.TrackPublished, (publication, participant) => this.#subscribe(publication, participant))
      .on(RoomEvent.TrackUnpublished, (publication) => this.#hearing.gone(publication.sid ?? ''))
      .on(RoomEvent.TrackSubscribed, (track, publication, participant) =>
        this.#heard(track, publication, participant),
      )
      .on(RoomEvent.TrackSubscriptionFailed, (sid, participant, reason) => {
        const publication = participant.trackPublications.get(sid);
        this.#hearing.gone(sid);
        events.trackFailed(this.#facts(participant, publication), reason ?? 'no reason given');
      })
      .on(RoomEvent.TrackMuted, (publication) => events.trackMuted(publication.sid ?? '', true))
      .on(RoomEvent.TrackUnmuted, (publication) => events.trackMuted(publication.sid ?? '', false))
      .on(RoomEvent.ParticipantConnected, others)
      .on(RoomEvent.ParticipantDisconnected, ({ trackPublications }) => {
        for (const sid of trackPublications.keys()) this.#hearing.gone(sid);
        others();
      })
      .on(RoomEvent.Reconnecting, () => events.reconnecting())
      .on(RoomEvent.Reconnected, () => {
        // After a full reconnect there are other publications under the same identities.
        this.#hearing.clear();
        this.#subscribeToAll();
        void this.#room
          .getSid()
          .catch(() => '')
          .then((sid) => {
            events.reconnected(sid);
            others();
          });
      })
      .on(RoomEvent.Disconnected, (reason) => this.#disconnected(reason));
  }

  #subscribeToAll(): void {
    for (const participant of this.#room.remoteParticipants.values())
      for (const publication of participant.trackPublications.values())
        this.#subscribe(publication, participant);
  }

  #subscribe(publication: Rtc.RemoteTrackPublication, participant: Rtc.RemoteParticipant): void {
    if (publication.kind !== this.#rtc.TrackKind.KIND_AUDIO) return;
    const isHeard = this.#hearing.want(publication.sid ?? '', () => publication.setSubscribed(true));
    if (isHeard) return;
    const why = `${this.#mostLanes} tracks are heard already`;
    this.#events.trackFailed(this.#facts(participant, publication), why, 'lanes_full');
  }

  #heard(
    track: Rtc.RemoteTrack,
    publication: Rtc.RemoteTrackPublication,
    participant: Rtc.RemoteParticipant,
  ): void {
    if (track.kind !== this.#rtc.TrackKind.KIND_AUDIO) return;
    const options = { sampleRate: this.#sampleRate, numChannels: 1, frameSizeMs: frameMs };
    // At once: what comes before there is a stream is gone.
    const stream = new this.#rtc.AudioStream(track, options);
    this.#events.trackHeard({
      sid: track.sid ?? '',
      participant: this.#facts(participant, publication),
      isMuted: publication.muted === true,
      frames: async function* () {
        for await (const { data } of stream as AsyncIterable<Rtc.AudioFrame>) yield data;
      },
      buffer: async () => await bufferReport(track),
    });
  }

  #disconnected(reason: Rtc.DisconnectReason): void {
    if (this.#isLeaving) return;
    const { DisconnectReason } = this.#rtc;
    const detail = (DisconnectReason[reason] as string | undefined) ?? String(reason);
    const removed = [DisconnectReason.PARTICIPANT_REMOVED, DisconnectReason.DUPLICATE_IDENTITY];
    const finished = [DisconnectReason.ROOM_DELETED, DisconnectReason.ROOM_CLOSED];
    if (removed.includes(reason)) this.#events.exited('removed', detail);
    else this.#events.exited(finished.includes(reason) ? 'finished' : 'lost', detail);
  }

  #facts(
    participant: Rtc.RemoteParticipant,
    publication: Rtc.RemoteTrackPublication | undefined,
  ): ParticipantFacts {
    const names: Readonly<Record<number, string | undefined>> = this.#rtc.TrackSource;
    const source = names[publication?.source ?? 0] ?? 'SOURCE_UNKNOWN';
    return {
      identity: participant.identity,
      name: participant.name ?? '',
      kind: this.#kindOf(participant),
      sid: participant.sid ?? '',
      source: source.replace('SOURCE_', '').replace('SCREENSHARE', 'SCREEN_SHARE').toLowerCase(),
    };
  }

  #kindOf({ kind }: Rtc.RemoteParticipant): string {
    const names: Readonly<Record<number, string | undefined>> = this.#rtc.ParticipantKind;
    return names[kind] ?? 'UNKNOWN';
  }
}
