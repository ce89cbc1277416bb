import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { jambonzDialect } from '../providers/jambonz/dialect.js';
import { twilioDialect } from '../providers/twilio/dialect.js';
import type { BridgeClock } from './BridgeClock.js';
import { BridgeClose } from './BridgeClose.js';
import { BridgedCall, type Report } from './BridgedCall.js';
import type { BridgedCallFacts } from './BridgedCallFacts.js';
import type { BridgeTotals } from './BridgeMessage.js';
import { PhoneLine } from './PhoneLine.js';
import type { Rooms } from './Room.js';

const dialects = { twilio: twilioDialect, jambonz: jambonzDialect } as const;
/** How long a call that was announced may take to come, ms; a socket that comes before its announcement waits less. */
const expectedMs = 20_000;
const earlyMs = 2000;
const mostEarly = 256;

/** A socket whose call hasn't been announced yet: the two come on different ways. */
interface Early {
  readonly take: (call: BridgedCallFacts) => void;
  readonly forget: () => void;
}

/**
 * Where the relay connects its bridged calls, on loopback, as to any bot. A socket shows a ticket that was announced over the process's own
 * channel, so nobody else on the machine can put a call into a room.
 */
export class BridgeServer {
  readonly #rooms: Rooms;
  readonly #clock: BridgeClock;
  readonly #report: (ticket: string) => Report;
  readonly #onOver: (ticket: string) => void;
  readonly #server: Server;
  readonly #acceptor = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: 16 * 1024 * 1024,
  });
  readonly #expected = new Map<string, { readonly call: BridgedCallFacts; readonly forget: () => void }>();
  readonly #early = new Map<string, Early>();
  readonly #calls = new Map<string, BridgedCall>();
  /** Of calls that are over. */
  readonly #past = { droppedToRoomMs: 0, droppedToPhoneMs: 0, clears: 0 };

  constructor(options: {
    readonly rooms: Rooms;
    readonly clock: BridgeClock;
    readonly report: (ticket: string) => Report;
    /** A call that was announced is over, or never came. */
    readonly onOver: (ticket: string) => void;
  }) {
    this.#rooms = options.rooms;
    this.#clock = options.clock;
    this.#report = options.report;
    this.#onOver = options.onOver;
    this.#server = createServer((_request, response) => response.writeHead(426).end());
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      this.#upgrade(request, socket, head);
    });
  }

  /** @returns the port; rejects with the system's error */
  listen(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: '127.0.0.1', port: 0 }, () =>
        resolve((this.#server.address() as AddressInfo).port),
      );
    });
  }

  /** Calls that are up, or announced. */
  get size(): number {
    return this.#calls.size + this.#expected.size;
  }

  /** Sockets whose calls haven't been announced yet. */
  get waiting(): number {
    return this.#early.size;
  }

  get totals(): Omit<BridgeTotals, 'rssBytes'> {
    const sum = { ...this.#past };
    for (const call of this.#calls.values()) addTo(sum, call.totals);
    return sum;
  }

  expect(call: BridgedCallFacts): void {
    const early = this.#early.get(call.ticket);
    if (early !== undefined) {
      early.forget();
      early.take(call);
      return;
    }
    const forget = this.#clock.after(expectedMs, () => {
      this.#expected.delete(call.ticket);
      this.#onOver(call.ticket);
    });
    this.#expected.set(call.ticket, { call, forget });
  }

  /** Ends every call and stops listening. */
  close(): void {
    for (const call of this.#calls.values()) call.shutDown();
    for (const { forget } of this.#expected.values()) forget();
    this.#expected.clear();
    for (const { forget } of this.#early.values()) forget();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const [, ticket = ''] = /^Bearer ([A-Za-z0-9_-]{16,64})$/.exec(request.headers.authorization ?? '') ?? [];
    const take = (call: BridgedCallFacts): void => {
      let isAccepted = false as boolean;
      this.#acceptor.handleUpgrade(request, socket, head, (accepted) => {
        isAccepted = true;
        this.#accept(accepted, call);
      });
      // One that is gone by now, or asks for something else, is let go without a word.
      if (!isAccepted) this.#onOver(call.ticket);
    };
    const expected = this.#expected.get(ticket);
    if (expected !== undefined) {
      expected.forget();
      this.#expected.delete(ticket);
      take(expected.call);
    } else if (ticket === '' || this.#early.has(ticket) || this.#early.size >= mostEarly) refuse(socket);
    else this.#keepEarly(ticket, socket, take);
  }

  #keepEarly(ticket: string, socket: Duplex, take: Early['take']): void {
    const stop = this.#clock.after(earlyMs, () => {
      this.#early.delete(ticket);
      refuse(socket);
    });
    const forget = (): void => {
      stop();
      this.#early.delete(ticket);
    };
    this.#early.set(ticket, { take, forget });
  }

  #accept(socket: WebSocket, call: BridgedCallFacts): void {
    const { ticket } = call;
    const report = this.#report(ticket);
    const onOver = (): void => {
      addTo(this.#past, bridged.totals);
      this.#calls.delete(ticket);
      this.#onOver(ticket);
    };
    const bridged = new BridgedCall({ call, rooms: this.#rooms, clock: this.#clock, report, onOver });
    this.#calls.set(ticket, bridged);
    const line = new PhoneLine(socket, dialects[call.dialect], call, bridged);
    // A call that never starts would stay for ever: the relay sends the start message at once.
    const start = this.#clock.after(earlyMs, () => !line.isOpen && line.close(BridgeClose.failed));
    socket.once('close', () => {
      start();
      bridged.hungUp();
    });
  }
}

function refuse(socket: Duplex): void {
  socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
}

function addTo(
  sum: { droppedToRoomMs: number; droppedToPhoneMs: number; clears: number },
  more: BridgedCall['totals'],
): void {
  sum.droppedToRoomMs += more.droppedToRoomMs;
  sum.droppedToPhoneMs += more.droppedToPhoneMs;
  sum.clears += more.clears;
}
