import { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { accountOf } from '../config/Config.js';
import { isRoomUrl } from '../config/roomUrl.js';
import type { Admitted } from './Admission.js';
import { FastSocket } from './FastSocket.js';
import type { LiveLoop, LiveSocketOptions } from './LiveLoop.js';

/** As `ws` has them, for a server and for a client: a client leaves the end of TCP to its server. */
const closeTimeoutMs = { provider: 5000, bot: 30_000 } as const;

/** What Node's socket reads and writes through. */
interface TcpHandle {
  readonly fd: number;
  readonly writeQueueSize: number;
  reading: boolean;
  readStart(): number;
  readStop(): number;
}

/**
 * Which sockets the native thread gets: plain TCP, right after `ws` has done the upgrade, with nothing of them half read or half written.
 * Anything else stays with `ws`: TLS, whose bytes Node alone can read, taps and jambonz's own recordings, which have no bot, and accounts
 * whose bots are all behind TLS or missing. A one-way stream of an account with a plain bot is only known after its start message; it
 * comes from the native thread message by message, and is recorded as ever.
 */
export class FastPath {
  readonly loop: LiveLoop;

  constructor(loop: LiveLoop) {
    this.loop = loop;
  }

  /** @returns null: `ws` goes on with it */
  provider(socket: WebSocket, wire: Socket, admitted: Admitted): FastSocket | null {
    if (admitted.endpoint !== 'stream' || !mayHavePlainBot(admitted)) return null;
    return this.#take(socket, wire, {
      isClient: false,
      maxMessageBytes: admitted.dialect.capabilities.maxMessageBytes,
      closeTimeoutMs: closeTimeoutMs.provider,
      stalledMs: admitted.config.limits.stalledMs,
    });
  }

  /** @returns null: `ws` goes on with it */
  bot(
    socket: WebSocket,
    wire: Socket,
    limits: { readonly maxMessageBytes: number; readonly stalledMs: number },
  ) {
    return this.#take(socket, wire, { ...limits, isClient: true, closeTimeoutMs: closeTimeoutMs.bot });
  }

  #take(socket: WebSocket, wire: Socket, options: LiveSocketOptions): FastSocket | null {
    const handle = handleOf(wire);
    if (handle === null || socket.extensions !== '') return null;
    // From here on nobody reads: Node's own reader is stopped, and what it has read is the first input of the other.
    const readers = wire.listeners('data') as ((data: Buffer) => void)[];
    wire.removeAllListeners('data');
    wire.pause();
    const input = (wire.read() as Buffer | null) ?? Buffer.alloc(0);
    handle.readStop();
    handle.reading = false;
    const taken = wire.readableLength === 0 ? FastSocket.adopt(this.loop, handle.fd, input, options) : null;
    if (taken === null) giveBack(wire, handle, readers, input);
    // The thread has a descriptor of its own; without Node's, only one reader is left.
    else wire.destroy();
    return taken;
  }
}

function mayHavePlainBot({ config, proven, dialect }: Admitted): boolean {
  if (!config.media.fastPath) return false;
  if (config.accountLookup !== null) return true;
  return [...proven].some((id) => isPlain(accountOf(config, id)?.upstream[dialect.name]));
}

function isPlain(upstream: string | null | undefined): boolean {
  // A bridge is a plain socket on loopback.
  return upstream?.startsWith('ws:') === true || isRoomUrl(upstream ?? '');
}

/** Null for whatever isn't a healthy TCP socket with nothing left to write. */
function handleOf(wire: Socket): TcpHandle | null {
  if (wire.constructor !== Socket || wire.destroyed || wire.connecting) return null;
  if (wire.readableEnded || wire.writableEnded || wire.writableLength > 0) return null;
  const handle = (wire as unknown as { readonly _handle?: Partial<TcpHandle> | null })._handle;
  if (handle?.constructor.name !== 'TCP' || (handle.fd ?? -1) < 0) return null;
  if (handle.writeQueueSize !== 0 || handle.readStop === undefined || handle.readStart === undefined)
    return null;
  return handle as TcpHandle;
}

/** As if nothing had been: what was read comes to `ws` first, then the rest. */
function giveBack(
  wire: Socket,
  handle: TcpHandle,
  readers: readonly ((data: Buffer) => void)[],
  input: Buffer,
): void {
  if (input.length > 0) wire.unshift(input);
  for (const reader of readers) wire.on('data', reader);
  handle.reading = true;
  handle.readStart();
  wire.resume();
}
