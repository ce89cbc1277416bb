import pLimit from 'p-limit';
import type { Logger } from 'pino';
import type { AccountConfig, Config, LiveKitAccount } from '../../config/Config.js';
import { errorCodes, ReelayError, type ErrorCode } from '../../config/ReelayError.js';
import { isRoomOfAnother, isRoomRecorded } from '../../config/roomPattern.js';
import { RoomServer, type ServerRoom } from '../../rooms/RoomServer.js';
import type { RoomOutcome, RoomRequest } from '../../tap/RoomRequest.js';
import type { PlainRequest } from '../ControlMessage.js';
import type { LiveCalls } from '../library/LiveCalls.js';
import type { Alerts } from '../monitoring/Alerts.js';
import { hasRooms, readRoomWebhook, type RoomAccount, type RoomNews } from './roomWebhook.js';

/** How often servers are asked which rooms there are, ms: so much of a room may be missed when a webhook is. */
const lookMs = 15_000;
const askedAtOnce = 8;
/** Events that are remembered, so that one that is delivered twice is handled once. */
const mostEvents = 10_000;
/** Events after which a room has something to record, or is about to. */
const beginnings: readonly string[] = ['room_started', 'participant_joined', 'track_published'];

/** The little of a server that is asked here. */
export type AskedServer = Pick<RoomServer, 'rooms' | 'create'>;

export interface RoomWatchOptions {
  readonly config: () => Config;
  readonly calls: Pick<LiveCalls, 'all'>;
  /** Asks main. Never rejects. */
  readonly record: (request: RoomRequest) => Promise<RoomOutcome>;
  readonly alerts: Pick<Alerts, 'raise' | 'resolve'>;
  readonly log: Logger;
  /** Default: a real one. */
  readonly serverOf?: (livekit: LiveKitAccount) => AskedServer;
}

/**
 * Sees to it that the rooms are recorded that accounts want recorded: at a webhook, and, because webhooks get lost, whenever a look at the
 * server shows one. Whether a room is being recorded already main knows, and asked again does nothing.
 */
export class RoomWatch {
  readonly #options: RoomWatchOptions;
  readonly #servers = new WeakMap<LiveKitAccount, AskedServer>();
  readonly #events = new Set<string>();
  /** Rooms that were refused, with the code, so that each refusal is logged once. */
  readonly #refused = new Map<string, ErrorCode>();
  /** Accounts whose server couldn't be asked, of which an alert tells. */
  readonly #unasked = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | null = null;

  constructor(options: RoomWatchOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => void this.look(), lookMs);
    void this.look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /**
   * Takes a webhook's word, and goes on when it has been answered: the server gives up on who is slow.
   *
   * @throws ReelayError as of `readRoomWebhook`
   */
  async receive(request: PlainRequest): Promise<void> {
    const news = await readRoomWebhook(request, this.#options.config().accounts);
    setImmediate(() => void this.#take(news));
  }

  /** Asks every server that may have rooms to record, unless that is being done. Never rejects. */
  async look(): Promise<void> {
    this.#looking ??= this.#lookAround().finally(() => (this.#looking = null));
    await this.#looking;
  }

  /**
   * Has a room recorded that somebody asks for.
   *
   * @param creates - makes it where there is none, so that its recorder is there before anybody else
   * @throws ReelayError `room_unreachable`, `room_denied`, `room_unknown`, and why it can't be recorded now
   */
  async record(
    account: AccountConfig,
    name: string,
    creates: boolean,
  ): Promise<Extract<RoomOutcome, { recordingId: string }>> {
    if (!hasRooms(account)) {
      const remedy = 'Give the account its livekit section.';
      throw new ReelayError('room_unknown', { value: account.id, remedy });
    }
    if (isRoomOfAnother(this.#options.config().accounts, account, name)) {
      // As if it weren't there; nor is it made.
      const remedy = 'Ask for one that no other account of this LiveKit project has in its livekit.rooms.';
      throw new ReelayError('room_unknown', { value: name, remedy });
    }
    const server = this.#serverOf(account.livekit);
    const found = (await server.rooms([name])).find((room) => room.name === name);
    const room = found ?? (creates ? await server.create(name) : undefined);
    if (room === undefined) {
      const remedy = 'Send { "create": true } to have it made.';
      throw new ReelayError('room_unknown', { value: name, remedy });
    }
    const outcome = await this.#options.record({ account, name, sid: room.sid, isAsked: true });
    if ('recordingId' in outcome) return outcome;
    const { code, value } = outcome;
    const remedy = 'Raise limits.roomProcesses, or ask again when a room has ended.';
    throw new ReelayError(code, { value, ...(code === 'rooms_full' ? { remedy } : {}) });
  }

  async #take({ event: { id, event, room, participant }, accounts }: RoomNews): Promise<void> {
    if (this.#isKnown(id) || room === undefined || !beginnings.includes(event)) return;
    // It is told of recorders too, that is, of reelay itself.
    if (participant?.permission?.hidden === true) return;
    const { name, sid } = room;
    for (const account of accounts) await this.#want(account, { name, sid });
  }

  async #lookAround(): Promise<void> {
    const limit = pLimit(askedAtOnce);
    const accounts = this.#options.config().accounts.filter(hasRooms);
    const wanting = accounts.filter(({ livekit }) => livekit.rooms !== 'none');
    const wanted = new Set(wanting.map(({ id }) => id));
    for (const id of this.#unasked) if (!wanted.has(id)) this.#answered(id, 'its server is asked no more');
    await Promise.all(wanting.map((account) => limit(async () => await this.#lookAt(account))));
  }

  async #lookAt(account: RoomAccount): Promise<void> {
    let rooms: readonly ServerRoom[];
    try {
      rooms = await this.#serverOf(account.livekit).rooms();
    } catch (error) {
      const { code, value } = error instanceof ReelayError ? error : new ReelayError('internal');
      const message = `${errorCodes[code]}; rooms of this account may go unrecorded`;
      const details = { accountId: account.id, value };
      this.#unasked.add(account.id);
      this.#options.alerts.raise(aboutRoomsOf(account.id), { code, message, details });
      return;
    }
    this.#answered(account.id, 'the LiveKit server answers again');
    for (const room of rooms) if (room.participants > 0) await this.#want(account, room);
  }

  #answered(accountId: string, message: string): void {
    this.#unasked.delete(accountId);
    this.#options.alerts.resolve(aboutRoomsOf(accountId), message);
  }

  async #want(account: RoomAccount, { name, sid }: Pick<ServerRoom, 'name' | 'sid'>): Promise<void> {
    if (!isRoomRecorded(account.livekit, name) || this.#isRecorded(account.id, sid)) return;
    const outcome = await this.#options.record({ account, name, sid, isAsked: false });
    const key = JSON.stringify([account.id, sid]);
    if (!('code' in outcome)) {
      this.#refused.delete(key);
      return;
    }
    if (this.#refused.get(key) === outcome.code) return;
    this.#refused.delete(key);
    this.#refused.set(key, outcome.code);
    const [oldest] = this.#refused.keys();
    if (this.#refused.size > mostEvents && oldest !== undefined) this.#refused.delete(oldest);
    const { code, value } = outcome;
    // That somebody has ended its recording is nobody's trouble, nor is that the daemon before still has it.
    const level = code === 'recording_not_live' || code === 'starting' ? 'info' : 'error';
    this.#options.log[level]({ code, value, accountId: account.id, room: name, sid }, 'room is not recorded');
  }

  /** Nothing is to be said to main of a room in which it has somebody. */
  #isRecorded(accountId: string, sid: string): boolean {
    return this.#options.calls.all.some(
      (call) => call.accountId === accountId && call.room?.sid === sid && call.room.presence !== 'joining',
    );
  }

  #isKnown(id: string): boolean {
    if (this.#events.has(id)) return true;
    this.#events.add(id);
    const [oldest] = this.#events;
    if (this.#events.size > mostEvents && oldest !== undefined) this.#events.delete(oldest);
    return false;
  }

  #serverOf(livekit: LiveKitAccount): AskedServer {
    const known = this.#servers.get(livekit);
    if (known !== undefined) return known;
    const server = this.#options.serverOf?.(livekit) ?? new RoomServer(livekit);
    this.#servers.set(livekit, server);
    return server;
  }
}

function aboutRoomsOf(accountId: string): string {
  return `rooms of ${accountId}`;
}
