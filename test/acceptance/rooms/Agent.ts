import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { AccessToken } from 'livekit-server-sdk';
import { eventually } from '../eventually.js';
import type { AgentMode, FromAgent, ToAgent } from './agentProcess.js';
import { apiKey, apiSecret, type LiveKitServer } from './LiveKitServer.js';

const entry = new URL('./agentProcess.js', import.meta.url);

/** A scripted agent in a room, in a process of its own. */
export class Agent {
  readonly identity: string;
  readonly told: FromAgent[] = [];
  readonly #child: ChildProcess;

  private constructor(identity: string) {
    this.identity = identity;
    this.#child = fork(entry, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#child.on('message', (message: FromAgent) => this.told.push(message));
    const kill = (): void => void this.#child.kill('SIGKILL');
    process.once('exit', kill);
    this.#child.once('exit', () => process.off('exit', kill));
  }

  static async join(server: LiveKitServer, room: string, identity: string, mode: AgentMode): Promise<Agent> {
    const agent = new Agent(identity);
    const token = new AccessToken(apiKey, apiSecret, { identity, ttl: '1h' });
    // A listener is hidden, so that nobody takes it for somebody to talk to.
    token.addGrant({
      roomJoin: true,
      room,
      canPublish: mode !== 'listen',
      canSubscribe: true,
      canUpdateOwnMetadata: true,
      ...(mode === 'listen' ? { hidden: true } : {}),
    });
    token.kind = 'agent';
    agent.#tell({ do: 'join', url: server.url, token: await token.toJwt(), mode });
    await eventually(`${identity} joins`, () => agent.of('joined').length > 0);
    return agent;
  }

  of<Told extends FromAgent['told']>(told: Told): Extract<FromAgent, { readonly told: Told }>[] {
    const failed = this.told.find((each) => each.told === 'failed');
    if (failed !== undefined) throw new Error(`${this.identity}: ${failed.message}`);
    return this.told.filter(
      (each): each is Extract<FromAgent, { readonly told: Told }> => each.told === told,
    );
  }

  press(digit: string): void {
    this.#tell({ do: 'press', digit });
  }

  async leave(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#tell({ do: 'leave' });
    await exited;
  }

  #tell(message: ToAgent): void {
    this.#child.send(message);
  }
}
