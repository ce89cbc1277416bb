import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../eventually.js';
import { Agent } from './Agent.js';
import type { LiveKitServer } from './LiveKitServer.js';
import { PhoneCall } from './PhoneCall.js';
import type { PhoneWire } from './PhoneWire.js';

/** Words follow one another so fast, and what is heard later than that after one isn't it, ms. */
const turnMs = 800;
const latestMs = 500;

/** What words took on their ways, ms; the lists go together, one entry for each turn that went all the way. */
export interface Turns {
  readonly phoneToAgent: readonly number[];
  readonly agentToPhone: readonly number[];
  /** To another participant of the room: what LiveKit itself takes. */
  readonly agentToOther: readonly number[];
  /** Turns in which a word wasn't heard where it should have been. */
  readonly lost: number;
}

/** A phone call that an agent answers, word for word, while somebody else listens in the room. */
export class AnsweredCall {
  readonly phone: PhoneCall;
  readonly agent: Agent;
  readonly listener: Agent;

  private constructor(phone: PhoneCall, agent: Agent, listener: Agent) {
    this.phone = phone;
    this.agent = agent;
    this.listener = listener;
  }

  /** Resolves when the first word was answered, and its jitter buffers have had time to settle. */
  static async open(
    server: LiveKitServer,
    room: string,
    mediaPort: number,
    wire: PhoneWire,
  ): Promise<AnsweredCall> {
    const agent = await Agent.join(server, room, 'agent', 'answer');
    const listener = await Agent.join(server, room, 'listener', 'listen');
    const phone = await PhoneCall.dial(mediaPort, wire);
    await eventually('the phone is in the room', async () =>
      (await server.client.listParticipants(room).catch(() => [])).some(({ identity }) =>
        identity.startsWith('phone-'),
      ),
    );
    let looks = 0;
    await eventually('the first answer', () => {
      if (looks++ % 40 === 0) phone.speak(100);
      return phone.heardMs.length > 0;
    });
    await sleep(1500);
    return new AnsweredCall(phone, agent, listener);
  }

  /** The caller says a word, again and again, and the agent answers each. */
  async speak(turns: number): Promise<Turns> {
    const { phone, agent, listener } = this;
    const from = phone.spokeMs.length;
    for (let turn = 0; turn < turns; turn++) {
      phone.speak(100);
      await sleep(turnMs);
    }
    await sleep(latestMs);
    const heard = ofAgent(agent, (identity) => identity.startsWith('phone-'));
    const answered = agent.of('answered').map(({ atMs }) => atMs);
    const heardByOther = ofAgent(listener, (identity) => identity === 'agent');
    const heardByPhone = phone.heardMs;
    const complete = phone.spokeMs.slice(from).flatMap((spokeMs) => {
      const atAgentMs = nextOf(heard, spokeMs);
      const answeredMs = nextOf(answered, spokeMs);
      const atPhoneMs = nextOf(heardByPhone, answeredMs);
      const atOtherMs = nextOf(heardByOther, answeredMs);
      const ways = [atAgentMs - spokeMs, atPhoneMs - answeredMs, atOtherMs - answeredMs] as const;
      return ways.every(Number.isFinite) ? [ways] : [];
    });
    return {
      phoneToAgent: complete.map(([up]) => up),
      agentToPhone: complete.map(([, down]) => down),
      agentToOther: complete.map(([, , other]) => other),
      lost: turns - complete.length,
    };
  }

  async leave(): Promise<void> {
    await this.agent.leave();
    await this.listener.leave();
  }
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

/**
 * What reelay adds to what LiveKit takes between two participants, in both directions together, ms: how long a word and its answer are
 * on their ways, less twice the way from the agent to another participant, each at the same percentile.
 */
export function addedMs({ phoneToAgent, agentToPhone, agentToOther }: Turns, share: number): number {
  const both = phoneToAgent.map((up, turn) => up + (agentToPhone[turn] ?? NaN));
  return percentile(both, share) - 2 * percentile(agentToOther, share);
}

/** In words. */
export function toldOf(turns: Turns): string[] {
  const told = (values: readonly number[]): string =>
    `p50 ${percentile(values, 0.5).toFixed(0)} ms, p99 ${percentile(values, 0.99).toFixed(0)} ms`;
  return [
    `phone to agent: ${told(turns.phoneToAgent)}`,
    `agent to phone: ${told(turns.agentToPhone)}`,
    `agent to another participant: ${told(turns.agentToOther)}`,
    `added by reelay, both ways together: p50 ${addedMs(turns, 0.5).toFixed(0)} ms, p99 ${addedMs(turns, 0.99).toFixed(0)} ms`,
  ];
}

function ofAgent(agent: Agent, isOfInterest: (identity: string) => boolean): number[] {
  return agent
    .of('heard')
    .filter(({ identity }) => isOfInterest(identity))
    .map(({ atMs }) => atMs);
}

/** The first time that belongs to this one; NaN: there is none. One that was lost isn't taken for the next, which is {@link turnMs} later. */
function nextOf(times: readonly number[], atMs: number): number {
  return times.find((each) => each >= atMs && each <= atMs + latestMs) ?? NaN;
}
