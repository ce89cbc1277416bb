import { request } from 'node:http';
import { eventually } from '../../test/acceptance/eventually.js';
import type { Fault } from './Fault.js';
import type { Scene } from './Scene.js';

const everyMs = 50;

/** Nobody reads the daemon's log, which has much to say: refused upgrades and requests, at the level debug. */
export class BlockedLog implements Fault {
  readonly name = 'log-blocked';
  readonly setting = 'log';
  #timer: NodeJS.Timeout | undefined;
  #fromMs = 0;
  #seen = 0;
  #held = 0;

  begin({ daemon, logPipe }: Scene): Promise<void> {
    this.#seen = daemon.logs.length;
    this.#fromMs = Date.now();
    logPipe?.block();
    this.#timer = setInterval(() => cause(daemon.mediaPort), everyMs);
    return Promise.resolve();
  }

  async end({ daemon, logPipe }: Scene): Promise<void> {
    clearInterval(this.#timer);
    // What had been read before the pipe was blocked may still have been on its way here.
    const late = daemon.logs.length;
    const untilMs = Date.now();
    logPipe?.unblock();
    await eventually('a line comes that was held back', () => {
      const held = daemon.logs
        .slice(late)
        .filter(({ time }) => Number(time) >= this.#fromMs && Number(time) < untilMs);
      this.#held += held.length;
      return held.length > 0;
    });
    if (late - this.#seen > 50) throw new Error(`${late - this.#seen} lines were read while nobody read`);
  }

  evidence({ daemon }: Scene): Promise<string> {
    if (this.#held === 0) throw new Error(`no line was held back of ${daemon.logs.length}`);
    return Promise.resolve(`${this.#held} lines and more were held back`);
  }
}

/** Something to log: an upgrade on a path that isn't there. */
function cause(port: number): void {
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  };
  const asked = request({ host: '127.0.0.1', port, path: '/nowhere', headers, agent: false });
  asked.on('response', (response) => response.resume());
  asked.on('error', () => undefined);
  asked.end();
}
