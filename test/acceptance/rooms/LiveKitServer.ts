import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AccessToken, RoomServiceClient } from 'livekit-server-sdk';
import { freePort } from '../../fixtures/freePort.js';
import { eventually } from '../eventually.js';

export const apiKey = 'test-key';
export const apiSecret = 'a-secret-of-more-than-32-characters';

/** A real LiveKit server on loopback, without Redis; `.ci/livekit` builds it. */
export class LiveKitServer {
  readonly port: number;
  readonly client: RoomServiceClient;
  readonly #binary: string;
  readonly #dir: string;
  #child: ChildProcess | null = null;

  private constructor(binary: string, dir: string, port: number) {
    this.#binary = binary;
    this.#dir = dir;
    this.port = port;
    this.client = new RoomServiceClient(`http://127.0.0.1:${port}`, apiKey, apiSecret);
  }

  /** @param webhook - URL that is told what happens; null: nobody is */
  static async open(binary: string, dir: string, webhook: string | null): Promise<LiveKitServer> {
    await mkdir(dir, { recursive: true });
    const [port, tcp, udp] = [await freePort(), await freePort(), await freePort()];
    const config = {
      port,
      bind_addresses: ['127.0.0.1'],
      rtc: {
        tcp_port: tcp,
        udp_port: udp,
        use_external_ip: false,
        node_ip: '127.0.0.1',
        enable_loopback_candidate: true,
        interfaces: { includes: ['lo'] },
      },
      keys: { [apiKey]: apiSecret },
      ...(webhook === null ? {} : { webhook: { api_key: apiKey, urls: [webhook] } }),
      room: { empty_timeout: 30, departure_timeout: 3, enable_remote_unmute: true },
      logging: { level: 'info' },
    };
    await writeFile(join(dir, 'livekit.yaml'), JSON.stringify(config));
    const server = new LiveKitServer(binary, dir, port);
    await server.start();
    return server;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** Starts it, again if it was ended; resolves when it answers. */
  async start(): Promise<void> {
    const child = spawn(this.#binary, ['--config', join(this.#dir, 'livekit.yaml')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    // Whatever ends a run, no server outlives it.
    const kill = (): void => void child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.off('exit', kill));
    const log = createWriteStream(join(this.#dir, 'livekit.log'), { flags: 'a' });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    await eventually('the LiveKit server answers', async () => {
      if (child.exitCode !== null) throw new Error(`the LiveKit server ended with ${child.exitCode}`);
      return (await fetch(`http://127.0.0.1:${this.port}/`).catch(() => undefined))?.ok;
    });
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** What a participant needs to join a room and be heard there. */
  async token(room: string, identity: string): Promise<string> {
    const token = new AccessToken(apiKey, apiSecret, { identity, ttl: '1h' });
    token.addGrant({ roomJoin: true, room, canPublish: true, canSubscribe: true });
    return await token.toJwt();
  }
}
