import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Test } from 'tap';
import { WebSocketServer } from 'ws';
import { samplesOf } from '../../src/audio/pcm.js';
import { freePort } from '../fixtures/freePort.js';
import { DaemonProcess } from './DaemonProcess.js';
import { eventually } from './eventually.js';
import { NumberedCall, numberedIn } from './NumberedCall.js';
import { readStoredCall, type StoredCall } from './StoredCall.js';

/** A call under way. */
export interface NumberedUp {
  readonly call: NumberedCall;
  readonly over: Promise<void>;
}

const longestCallSeconds = 120;

/** Daemons that follow each other on one spool, one store and the same two ports, and a bot that keeps what it gets. */
export class RollingDaemons {
  readonly #dir: string;
  readonly #heard = new Map<string, Buffer[]>();
  readonly #bot: WebSocketServer;
  readonly #daemons: DaemonProcess[] = [];
  #ports: readonly [number, number] = [0, 0];
  #seed = 0;

  private constructor(dir: string, bot: WebSocketServer) {
    this.#dir = dir;
    this.#bot = bot;
    bot.on('connection', (socket) => {
      let heard: Buffer[] = [];
      socket.on('message', (data: Buffer, isBinary) => {
        if (isBinary) heard.push(data);
        else this.#heard.set((JSON.parse(data.toString()) as { callSid: string }).callSid, (heard = []));
      });
    });
  }

  static async open(t: Test): Promise<RollingDaemons> {
    const bot = new WebSocketServer({
      port: 0,
      host: '127.0.0.1',
      handleProtocols: () => 'audio.drachtio.org',
    });
    await once(bot, 'listening');
    const rolling = new RollingDaemons(join(t.testdir(), 'daemon'), bot);
    rolling.#ports = [await freePort(), await freePort()];
    t.teardown(() => rolling.#close());
    return rolling;
  }

  get mediaPort(): number {
    return this.#ports[0];
  }

  /** Starts a daemon; resolves when it is ready. */
  async start(...flags: string[]): Promise<DaemonProcess> {
    const { port } = this.#bot.address() as AddressInfo;
    const daemon = DaemonProcess.prepare({
      dir: this.#dir,
      flags,
      chunkSeconds: 1,
      accounts: [
        {
          id: 'AC1',
          upstream: { twilio: `ws://127.0.0.1:${port}`, jambonz: `ws://127.0.0.1:${port}` },
          jambonz: { returns: 'playAudio' },
          resumeSeconds: 1,
        },
      ],
      env: { REELAY_FAULTS: '1' },
      config: {
        media: { port: this.#ports[0], drainSeconds: longestCallSeconds },
        control: { port: this.#ports[1] },
      },
    });
    this.#daemons.push(daemon);
    await daemon.restart();
    return daemon;
  }

  /** A call that goes on until it is told to hang up; resolves when the bot hears it. */
  async dial(): Promise<NumberedUp> {
    const call = new NumberedCall({
      url: `ws://127.0.0.1:${this.#ports[0]}/jambonz`,
      accountSid: 'AC1',
      callSid: randomUUID(),
      seed: ++this.#seed,
      sampleRate: 8000,
      seconds: longestCallSeconds,
      speed: 1,
    });
    const over = call.speak();
    await eventually('the bot hears the call', () => this.#heard.has(call.options.callSid));
    return { call, over };
  }

  /** What is wrong with what the bot has got of a call that is over. */
  relayed({ call }: NumberedUp): string[] {
    const pcm = samplesOf(Buffer.concat(this.#heard.get(call.options.callSid) ?? []));
    return [0, 1].flatMap((channel) => {
      const { before, samples, problem } = numberedIn(pcm, call.options.seed, channel);
      const isWhole = before === 0 && samples === call.sent && problem === null;
      return isWhole ? [] : [`channel ${channel}: ${samples} of ${call.sent} after ${before}, ${problem}`];
    });
  }

  /** The only recording of a call in the store. */
  async stored({ call }: NumberedUp, daemon: DaemonProcess): Promise<StoredCall> {
    return await readStoredCall(await daemon.stored(call.options.callSid));
  }

  /** What is wrong with a recording. @param required - samples that must be in it; default: all that were sent */
  problems({ call }: NumberedUp, stored: StoredCall, required = call.sent): string[] {
    const [left = new Int16Array(), right = left] = stored.channels;
    const pcm = new Int16Array(left.length * 2);
    left.forEach((sample, at) => (pcm[at * 2] = sample));
    right.forEach((sample, at) => (pcm[at * 2 + 1] = sample));
    const findings = stored.findings.map(({ code, detail }) => `${code} ${detail}`);
    const audio = [0, 1].flatMap((channel) => {
      const { samples, problem } = numberedIn(pcm, call.options.seed, channel);
      const isRight = samples >= required && problem === null;
      return isRight ? [] : [`channel ${channel}: ${samples} of ${required}, ${problem}`];
    });
    return [...findings, ...audio];
  }

  async #close(): Promise<void> {
    for (const daemon of this.#daemons) await daemon.kill();
    for (const socket of this.#bot.clients) socket.terminate();
    this.#bot.close();
  }
}

/** Connects to a port every few ms. */
export class Knocking {
  /** Connections that were refused. */
  refused = 0;
  accepted = 0;
  /** The longest time between two connections that were accepted, with one refused in between, ms. */
  longestMs = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(port: number, everyMs: number) {
    let lastMs = performance.now();
    let wasRefused = false;
    this.#timer = setInterval(() => {
      const socket = connect(port, '127.0.0.1');
      socket.on('connect', () => {
        const nowMs = performance.now();
        if (wasRefused) this.longestMs = Math.max(this.longestMs, nowMs - lastMs);
        [lastMs, wasRefused] = [nowMs, false];
        this.accepted++;
        socket.destroy();
      });
      socket.on('error', () => {
        wasRefused = true;
        this.refused++;
      });
    }, everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
