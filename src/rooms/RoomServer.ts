import { AccessToken, RoomServiceClient, ServerError } from 'livekit-server-sdk';
import type { LiveKitAccount } from '../config/Config.js';
import { ReelayError } from '../config/ReelayError.js';

/** A room that is there. */
export interface ServerRoom {
  readonly name: string;
  readonly sid: string;
  /** Participants other than recorders. */
  readonly participants: number;
}

/** How long the server may take for an answer, s. */
const answerSeconds = 5;
/** How long a token is good to join with. The server gives whoever has joined new ones by itself. */
const tokenLife = '10m';

type Keys = Pick<LiveKitAccount, 'url' | 'apiKey' | 'apiSecret'>;

/** A LiveKit server's own API, as far as it is about who is where. */
export class RoomServer {
  readonly #keys: Keys;
  readonly #client: RoomServiceClient;

  constructor(keys: Keys) {
    this.#keys = keys;
    const { url, apiKey, apiSecret } = keys;
    const origin = url.replace(/^ws/, 'http').replace(/\/+$/, '');
    this.#client = new RoomServiceClient(origin, apiKey, apiSecret, { requestTimeout: answerSeconds });
  }

  /** @param names - default: all rooms. @throws ReelayError `room_unreachable`, `room_denied` */
  async rooms(names?: readonly string[]): Promise<ServerRoom[]> {
    const rooms = await this.#asked(() => this.#client.listRooms(names && [...names]));
    return rooms.map(({ name, sid, numParticipants }) => ({ name, sid, participants: numParticipants }));
  }

  /** Makes it, or finds it there. @throws ReelayError `room_unreachable`, `room_denied` */
  async create(name: string): Promise<ServerRoom> {
    const room = await this.#asked(() => this.#client.createRoom({ name }));
    return { name: room.name, sid: room.sid, participants: room.numParticipants };
  }

  /** What a recorder needs to join a room and to do nothing there but listen. Nobody in it hears of it, and it keeps no room open. */
  async token(room: string, identity: string): Promise<string> {
    const { apiKey, apiSecret } = this.#keys;
    const token = new AccessToken(apiKey, apiSecret, { identity, ttl: tokenLife });
    token.addGrant({
      roomJoin: true,
      room,
      hidden: true,
      recorder: true,
      canSubscribe: true,
      canPublish: false,
      canPublishData: false,
    });
    return await token.toJwt();
  }

  async #asked<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw faultOf(error, new URL(this.#keys.url).host);
    }
  }
}

/** Nothing of the server's own text is a secret; of what was sent to it none is told. */
function faultOf(error: unknown, value: string): ReelayError {
  if (error instanceof ServerError) {
    if (error.status === 401 || error.status === 403) {
      const remedy = 'Compare livekit.apiKey and livekit.apiSecret with the server’s.';
      return new ReelayError('room_denied', { value, remedy, cause: error });
    }
    if (error.code === 'not_found') return new ReelayError('room_unknown', { value, cause: error });
  }
  const why = error instanceof Error ? (causeOf(error) ?? error.message) : String(error);
  return new ReelayError('room_unreachable', {
    value: `${value} (${why.split('\n')[0] ?? ''})`,
    cause: error,
  });
}

/** `fetch` itself says only that it failed. */
function causeOf({ cause }: Error): string | undefined {
  const code = (cause as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}
