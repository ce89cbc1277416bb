import t from 'tap';
import { BridgeClose } from '../../src/bridge/BridgeClose.js';
import { BridgedCall } from '../../src/bridge/BridgedCall.js';
import type { BridgedCallFacts } from '../../src/bridge/BridgedCallFacts.js';
import { dtmfTone } from '../../src/bridge/dtmfTone.js';
import type { Line } from '../../src/bridge/PhoneLine.js';
import { JoinError } from '../../src/bridge/Room.js';
import { facts, silence, tone } from './fixtures/bridgedCall.js';
import { FakeRooms } from './fixtures/FakeRooms.js';
import { settled, VirtualClock } from './fixtures/VirtualClock.js';

class FakeLine implements Line {
  readonly callerRate = 8000;
  readonly voiceRate = 8000;
  readonly said: Int16Array[] = [];
  clears = 0;
  closed: number | undefined;

  say(samples: Int16Array): boolean {
    this.said.push(samples);
    return true;
  }
  clear(): void {
    this.clears++;
  }
  close(code: number): void {
    this.closed = code;
  }
}

class Bridge {
  readonly rooms = new FakeRooms();
  readonly clock = new VirtualClock();
  readonly line = new FakeLine();
  readonly lines: string[] = [];
  readonly call: BridgedCall;
  over = 0;

  constructor(overrides: Partial<BridgedCallFacts> = {}) {
    this.call = new BridgedCall({
      call: facts(overrides),
      rooms: this.rooms,
      clock: this.clock,
      report: (_level, message) => this.lines.push(message),
      onOver: () => this.over++,
    });
  }

  async start(): Promise<this> {
    this.call.started(this.line);
    await settled();
    return this;
  }

  /** With an agent that is heard. */
  async answered(): Promise<this> {
    await this.start();
    const { owner } = this.rooms.last;
    owner.participantJoined({ identity: 'agent', isAgent: true });
    owner.voiceAdded(0, 'agent');
    return this;
  }

  /** The caller says something for so long, and the agent does what it does. */
  talk(ms: number, caller: typeof tone, agent: typeof tone | null): void {
    for (let at = 0; at < ms; at += 20) {
      this.call.callerSaid(caller(20, 8000));
      if (agent !== null) this.rooms.last.owner.voiceHeard(0, agent(20, 8000));
      this.clock.step(20);
    }
  }
}

await t.test('caller and agent hear each other', async (t) => {
  const bridge = await new Bridge().answered();
  for (let i = 0; i < 20; i++) {
    bridge.call.callerSaid(tone(20, 8000, 300));
    bridge.rooms.last.owner.voiceHeard(0, tone(20, 8000, 500));
    bridge.clock.step(20);
    await settled();
  }
  t.strictSame(bridge.rooms.last.said[19], tone(20, 8000, 300));
  t.strictSame(bridge.line.said[19], tone(20, 8000, 500));
  t.equal(bridge.rooms.last.said.length, 20);
  t.equal(bridge.line.said.length, 20);
  const { callerRate, voiceRate, call } = bridge.rooms.last.join;
  t.same([callerRate, voiceRate, call.room], [8000, 8000, 'call-CA1']);
});

await t.test('digits go both ways', async (t) => {
  const bridge = await new Bridge().answered();
  for (const digit of '12#') bridge.call.callerPressed(digit);
  t.strictSame(bridge.rooms.last.pressed, ['1', '2', '#']);
  bridge.rooms.last.owner.digitCame('7');
  t.strictSame(bridge.line.said, [dtmfTone('7', 8000)]);
});

await t.test('an agent that stops speaking because the caller talks is cut', async (t) => {
  const bridge = await new Bridge().answered();
  const { owner } = bridge.rooms.last;
  owner.agentState('agent', 'speaking');
  bridge.talk(500, silence, tone);
  owner.agentState('agent', 'listening');
  t.equal(bridge.line.clears, 0, 'one that has finished isn’t');
  owner.agentState('agent', 'speaking');
  bridge.talk(500, tone, tone);
  const before = bridge.line.said.length;
  owner.agentState('agent', 'listening');
  t.equal(bridge.line.clears, 1);
  bridge.talk(100, tone, tone);
  t.equal(bridge.line.said.length, before, 'nor is the rest of its sentence heard');
  owner.agentState('agent', 'thinking');
  owner.agentState('other', 'listening');
  t.equal(bridge.line.clears, 1, 'one interruption is one');
});

await t.test('a muted agent is not heard, and is again', async (t) => {
  const bridge = await new Bridge().answered();
  const { owner } = bridge.rooms.last;
  for (let i = 0; i < 10; i++) owner.voiceHeard(0, tone(20, 8000));
  owner.voiceMuted(0, true);
  t.equal(bridge.line.clears, 1, 'what waited is cut');
  owner.voiceHeard(0, tone(20, 8000));
  t.equal(bridge.line.said.length, 10);
  owner.voiceMuted(0, false);
  owner.voiceHeard(0, tone(20, 8000));
  t.equal(bridge.line.said.length, 11);
  owner.voiceRemoved(0);
  owner.voiceHeard(0, tone(20, 8000));
  t.equal(bridge.line.said.length, 11);
  t.equal(bridge.line.clears, 1, 'of one frame nothing is');
});

await t.test('a server that is not there is tried for ten seconds', async (t) => {
  const bridge = new Bridge();
  bridge.rooms.failure = new JoinError('unreachable', 'connection refused');
  await bridge.start();
  await bridge.clock.pass(5000);
  t.ok(bridge.rooms.joins >= 4, `${bridge.rooms.joins} times`);
  t.equal(bridge.line.closed, undefined);
  await bridge.clock.pass(6000);
  t.equal(bridge.line.closed, BridgeClose.unreachable);
  t.equal(bridge.over, 1);
  const { joins } = bridge.rooms;
  await bridge.clock.pass(60_000);
  t.equal(bridge.rooms.joins, joins, 'and then no more');
});

await t.test('a server that comes back in time is joined', async (t) => {
  const bridge = new Bridge();
  bridge.rooms.failure = new JoinError('unreachable', 'connection refused');
  await bridge.start();
  await bridge.clock.pass(3000);
  bridge.rooms.failure = null;
  await bridge.clock.pass(2000);
  bridge.rooms.last.owner.participantJoined({ identity: 'agent', isAgent: true });
  await bridge.clock.pass(60_000);
  t.equal(bridge.line.closed, undefined);
  t.equal(bridge.rooms.rooms.length, 1);
});

await t.test('wrong keys are wrong at once', async (t) => {
  const bridge = new Bridge();
  bridge.rooms.failure = new JoinError('denied', '401');
  await bridge.start();
  t.equal(bridge.line.closed, BridgeClose.denied);
  t.equal(bridge.rooms.joins, 1);
});

await t.test('a caller to whom nobody comes is let go', async (t) => {
  const bridge = await new Bridge({ answerSeconds: 12 }).start();
  await bridge.clock.pass(11_900);
  t.equal(bridge.line.closed, undefined);
  await bridge.clock.pass(200);
  t.equal(bridge.line.closed, BridgeClose.unanswered);
  t.ok(bridge.rooms.last.isLeft);
  const patient = await new Bridge({ answerSeconds: 0 }).start();
  await patient.clock.pass(3_600_000);
  t.equal(patient.line.closed, undefined, 'unless it is to wait for ever');
});

await t.test('a caller whom everybody has left is let go, properly', async (t) => {
  const bridge = await new Bridge({ departureSeconds: 5 }).answered();
  const { owner } = bridge.rooms.last;
  await bridge.clock.pass(100_000);
  owner.participantJoined({ identity: 'human', isAgent: false });
  owner.participantLeft('agent');
  await bridge.clock.pass(100_000);
  t.equal(bridge.line.closed, undefined, 'somebody is there');
  owner.participantLeft('human');
  await bridge.clock.pass(4000);
  owner.participantJoined({ identity: 'human', isAgent: false });
  await bridge.clock.pass(100_000);
  t.equal(bridge.line.closed, undefined, 'and came back in time');
  owner.participantLeft('human');
  await bridge.clock.pass(5100);
  t.equal(bridge.line.closed, 1000);
});

await t.test('how a room ends is how the call does', async (t) => {
  const ended = await new Bridge().answered();
  ended.rooms.last.owner.left('ended');
  t.equal(ended.line.closed, 1000);
  const replaced = await new Bridge().answered();
  replaced.rooms.last.owner.left('replaced');
  t.equal(replaced.line.closed, BridgeClose.replaced);
  await settled();
  for (const { over, rooms } of [ended, replaced]) {
    t.equal(over, 1);
    t.equal(rooms.joins, 1);
  }
});

await t.test('a room that is lost is joined again, and the call goes on', async (t) => {
  const bridge = await new Bridge().answered();
  const first = bridge.rooms.last;
  bridge.rooms.failure = new JoinError('unreachable', 'restarting');
  first.owner.left('lost');
  await bridge.clock.pass(3000);
  bridge.rooms.failure = null;
  await bridge.clock.pass(3000);
  t.not(bridge.rooms.last, first);
  const { owner } = bridge.rooms.last;
  owner.participantJoined({ identity: 'agent', isAgent: true });
  owner.voiceAdded(0, 'agent');
  owner.voiceHeard(0, tone(20, 8000));
  first.owner.voiceHeard(0, tone(20, 8000));
  first.owner.left('ended');
  bridge.call.callerSaid(tone(20, 8000));
  await settled();
  t.equal(bridge.line.said.length, 1, 'the room before has nothing to say any more');
  t.equal(bridge.rooms.last.said.length, 1);
  t.equal(bridge.line.closed, undefined);
});

await t.test('a room that stays lost is given up after half a minute', async (t) => {
  const bridge = await new Bridge().answered();
  bridge.rooms.failure = new JoinError('unreachable', 'gone');
  bridge.rooms.last.owner.left('lost');
  await bridge.clock.pass(25_000);
  t.equal(bridge.line.closed, undefined);
  await bridge.clock.pass(6000);
  t.equal(bridge.line.closed, BridgeClose.lost);
});

await t.test('a phone that hangs up while the room is being joined leaves nobody behind', async (t) => {
  const bridge = new Bridge();
  let open = (): void => undefined;
  bridge.rooms.gate = new Promise((resolve) => (open = resolve));
  await bridge.start();
  bridge.call.hungUp();
  await settled();
  t.equal(bridge.over, 0, 'somebody is still to be called back');
  open();
  await settled();
  t.ok(bridge.rooms.last.isLeft);
  t.equal(bridge.over, 1);
  t.equal(bridge.line.closed, undefined, 'it has closed by itself');
  bridge.call.hungUp();
  await bridge.clock.pass(2000);
  t.equal(bridge.over, 1);
});

await t.test('a call is over when its room has been told so, or doesn’t listen', async (t) => {
  for (const isTold of [true, false]) {
    const bridge = await new Bridge().answered();
    let tell = (): void => undefined;
    bridge.rooms.last.farewell = new Promise((resolve) => (tell = resolve));
    bridge.call.hungUp();
    await bridge.clock.pass(900);
    t.ok(bridge.rooms.last.isLeft);
    t.equal(bridge.over, 0, 'a process that ended now would leave a ghost in the room');
    if (isTold) tell();
    await bridge.clock.pass(isTold ? 0 : 200);
    t.equal(bridge.over, 1);
    await bridge.clock.pass(60_000);
    t.equal(bridge.over, 1);
  }
});
