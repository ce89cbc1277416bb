import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Test } from 'tap';
import type { LiveKitServer } from './LiveKitServer.js';
import type { FromParticipant, ToParticipant } from './participantProcess.js';

const entry = new URL('./participantProcess.js', import.meta.url);

/** What somebody has published, and when. */
export interface Said {
  readonly seed: number;
  readonly seconds: number;
  /** CLOCK_MONOTONIC, ms. */
  readonly sinceMs: number;
  /** The server's id of the track. */
  readonly trackSid: string;
  /** Where a machine that has other work let it run dry: from which sample on everything was published so much later, ms. */
  readonly slips: { readonly at: number; readonly byMs: number }[];
}

/** When a sample was published, CLOCK_MONOTONIC in ms. @param rate - Hz */
export function publishedMs({ sinceMs, slips }: Said, sample: number, rate: number): number {
  const slip = slips.findLast(({ at }) => at <= sample);
  return sinceMs + (slip?.byMs ?? 0) + (sample * 1000) / rate;
}

/** Somebody in a LiveKit room, in a process of its own. */
export class Participant {
  readonly identity: string;
  readonly events: string[] = [];
  readonly #child: ChildProcess;
  readonly #waiting: { readonly told: string; readonly resolve: (message: FromParticipant) => void }[] = [];
  readonly #slips = new Map<number, Said['slips']>();
  #failure: string | null = null;

  private constructor(identity: string) {
    this.identity = identity;
    this.#child = fork(entry, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#child.on('message', (message: FromParticipant) => this.#take(message));
    const kill = (): void => void this.#child.kill('SIGKILL');
    process.once('exit', kill);
    this.#child.once('exit', () => process.off('exit', kill));
  }

  /** @param t - at whose end it is gone, whatever became of it */
  static async join(t: Test, server: LiveKitServer, room: string, identity: string): Promise<Participant> {
    const participant = await Participant.enter(server, room, identity);
    t.teardown(async () => await participant.kill());
    return participant;
  }

  static async enter(server: LiveKitServer, room: string, identity: string): Promise<Participant> {
    const participant = new Participant(identity);
    const url = server.url;
    await participant.#do({ do: 'join', url, token: await server.token(room, identity) }, 'joined');
    return participant;
  }

  /** Publishes a microphone and speaks into it from now on; resolves when it has begun. */
  async say(seed: number, seconds: number): Promise<Said> {
    const slips: Said['slips'] = [];
    this.#slips.set(seed, slips);
    const saying = (await this.#do({ do: 'say', seed, seconds }, 'saying')) as Pick<
      Said,
      'sinceMs' | 'trackSid'
    >;
    return { ...saying, seed, seconds, slips };
  }

  async leave(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.send({ do: 'leave' } satisfies ToParticipant);
    await exited;
  }

  /** It is gone without a word. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  async #do(message: ToParticipant, told: FromParticipant['told']): Promise<FromParticipant> {
    const answer = new Promise<FromParticipant>((resolve) => this.#waiting.push({ told, resolve }));
    this.#child.send(message);
    const done = await answer;
    if (this.#failure !== null) throw new Error(`${this.identity}: ${this.#failure}`);
    return done;
  }

  #take(message: FromParticipant): void {
    if (message.told === 'event') this.events.push(message.event);
    if (message.told === 'slipped') this.#slips.get(message.seed)?.push(message);
    if (message.told === 'failed') this.#failure = message.message;
    const at = this.#waiting.findIndex(({ told }) => told === message.told || message.told === 'failed');
    const [waiting] = at < 0 ? [] : this.#waiting.splice(at, 1);
    waiting?.resolve(message);
  }
}
