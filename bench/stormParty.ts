/*
 * One end of `storm.ts`, in a process of its own: `running`, calls that are up all the time and whose frames are timed, or
 * `storm`, calls that arrive. Each has its own bot in the same process, so that one clock times a frame at both of its ends.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket, { WebSocketServer } from 'ws';
import {
  twilioBotMedia,
  twilioConnected,
  twilioMedia,
  twilioStart,
} from '../src/providers/twilio/messages.js';

export type PartyOrder =
  | { readonly type: 'start'; readonly url: string; readonly calls: number }
  /** What was timed from now on, until it is asked for. */
  | { readonly type: 'window' }
  | { readonly type: 'report' }
  /** Arrivals, evenly within this time; 0: all at once. */
  | { readonly type: 'arrive'; readonly url: string; readonly calls: number; readonly withinMs: number };

/** What became of the frames of the calls that are up. */
export interface RunningReport {
  /** ms from a party's `send` to the other's `message`, both directions. */
  readonly latencies: readonly number[];
  /** Frames that came out of order, or after others that didn't come. */
  readonly misplaced: number;
}

export interface StormReport {
  readonly answered: number;
  readonly refused: number;
  /** ms from the dial to the start message at the bot. */
  readonly setups: readonly number[];
}

const frameMs = 20;
const payload = Buffer.alloc(160, 0xff);

if (process.argv[2] === 'running') await run();
else if (process.argv[2] === 'storm') await storm();

async function openBot(): Promise<{ bot: WebSocketServer; url: string }> {
  const bot = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  await once(bot, 'listening');
  return { bot, url: `ws://127.0.0.1:${(bot.address() as AddressInfo).port}` };
}

async function run(): Promise<void> {
  const { bot, url } = await openBot();
  let latencies: number[] = [];
  let misplaced = 0;
  const directions: Timed[] = [];
  const noted = (sentMs: number | undefined): void => {
    if (sentMs === undefined) misplaced++;
    else latencies.push(performance.now() - sentMs);
  };
  const up = async (mediaUrl: string, index: number): Promise<void> => {
    const connection = once(bot, 'connection') as Promise<[WebSocket]>;
    const name = `running${index}`;
    const caller = new WebSocket(mediaUrl, { perMessageDeflate: false });
    await once(caller, 'open');
    open(caller, name);
    const [socket] = await connection;
    const toBot = new Timed(noted, 2);
    const toCaller = new Timed(noted, 0);
    directions.push(toBot, toCaller);
    socket.on('message', (data) => toBot.received(data as Buffer));
    caller.on('message', (data) => toCaller.received(data as Buffer));
    let frame = 0;
    setInterval(() => {
      const message = twilioMedia({
        streamSid: name,
        sequenceNumber: frame + 2,
        chunk: frame + 1,
        timestamp: frame++ * frameMs,
        payload,
      });
      toBot.sent(message);
      caller.send(message);
      payload.writeUInt32BE(frame);
      const answer = twilioBotMedia(name, payload);
      toCaller.sent(answer);
      socket.send(answer);
    }, frameMs);
  };
  process.on('message', (order: PartyOrder) => {
    if (order.type === 'start') {
      void (async () => {
        for (let index = 0; index < order.calls; index++) {
          await up(order.url, index);
          await sleep(frameMs / 4);
        }
        process.send?.('up');
      })();
    } else if (order.type === 'window') latencies = [];
    else {
      const missing = directions.reduce((sum, direction) => sum + direction.missing, 0);
      process.send?.({ latencies, misplaced: misplaced + missing } satisfies RunningReport);
    }
  });
  process.send?.(url);
}

/** Frames in one direction of one call: each must come as it was sent, and in that order. */
class Timed {
  readonly #noted: (sentMs: number | undefined) => void;
  readonly #under: { readonly message: string; readonly sentMs: number }[] = [];
  #opening: number;

  constructor(noted: (sentMs: number | undefined) => void, opening: number) {
    this.#noted = noted;
    this.#opening = opening;
  }

  sent(message: string): void {
    this.#under.push({ message, sentMs: performance.now() });
  }

  received(data: Buffer): void {
    if (this.#opening-- > 0) return;
    const sent = this.#under.shift();
    this.#noted(sent?.message === data.toString('latin1') ? sent.sentMs : undefined);
  }

  /** Frames that should have come long ago. */
  get missing(): number {
    const longAgoMs = performance.now() - 5000;
    return this.#under.filter(({ sentMs }) => sentMs < longAgoMs).length;
  }
}

async function storm(): Promise<void> {
  const { bot, url } = await openBot();
  const dialled = new Map<string, number>();
  let setups: number[] = [];
  bot.on('connection', (socket) => {
    socket.on('error', () => undefined);
    socket.on('message', (data) => {
      const name = /"streamSid":"(storm[^"]+)"/.exec((data as Buffer).toString('latin1'))?.[1];
      const dialledMs = dialled.get(name ?? '');
      if (dialledMs === undefined) return;
      dialled.delete(name ?? '');
      setups.push(performance.now() - dialledMs);
    });
  });
  let arrived = 0;
  const arrive = async (mediaUrl: string): Promise<boolean> => {
    const name = `storm${arrived++}`;
    dialled.set(name, performance.now());
    const caller = new WebSocket(mediaUrl, { perMessageDeflate: false });
    try {
      await once(caller, 'open');
    } catch {
      return false;
    }
    open(caller, name);
    const talking = setInterval(() => {
      caller.send(twilioMedia({ streamSid: name, sequenceNumber: 2, chunk: 1, timestamp: 0, payload }));
    }, 5 * frameMs);
    await sleep(1500);
    clearInterval(talking);
    caller.close(1000);
    await once(caller, 'close');
    return true;
  };
  process.on('message', (order: PartyOrder) => {
    if (order.type !== 'arrive') return;
    setups = [];
    const all = Array.from({ length: order.calls }, async (_none, index) => {
      await sleep((index * order.withinMs) / order.calls);
      return await arrive(order.url);
    });
    void Promise.all(all).then((answers) => {
      const answered = answers.filter(Boolean).length;
      process.send?.({ answered, refused: order.calls - answered, setups } satisfies StormReport);
    });
  });
  process.send?.(url);
}

function open(caller: WebSocket, name: string): void {
  caller.send(twilioConnected());
  caller.send(
    twilioStart({
      accountSid: name.replace(/\d+$/, ''),
      callSid: `CA${name}`,
      streamSid: name,
      sequenceNumber: 1,
    }),
  );
}
