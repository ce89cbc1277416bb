import { Duplex } from 'node:stream';
import t from 'tap';
import { FrameKind, FrameReader, frameOf } from '../../src/rooms/RoomFrame.js';
import { RoomHost } from '../../src/rooms/RoomHost.js';
import type { FromRoomProcess, ToRoomProcess } from '../../src/rooms/RoomMessage.js';
import type { JoinedRoom } from '../../src/rooms/RoomSdk.js';
import { FakeClock, rest } from './fixtures/FakeClock.js';
import { FakeSdk } from './fixtures/FakeSdk.js';

const join: ToRoomProcess = {
  type: 'join',
  url: 'ws://localhost:7880',
  token: 'token',
  sampleRate: 48_000,
  departureMs: 1000,
  mostLanes: 50,
};

/** A client whose server takes its time to hear that a room is left, or that it is joined. */
class SlowSdk extends FakeSdk {
  /** Lets the server answer. */
  readonly answers: (() => void)[] = [];
  isSlowToJoin = false;

  override async join(...options: Parameters<FakeSdk['join']>): Promise<JoinedRoom> {
    const room = await super.join(...options);
    if (this.isSlowToJoin) await this.#answer();
    const leave = async (): Promise<void> => {
      await room.leave();
      await this.#answer();
    };
    return { others: 0, sid: async () => await room.sid(), leave };
  }

  async #answer(): Promise<void> {
    await new Promise<void>((resolve) => this.answers.push(resolve));
  }
}

interface Scene {
  readonly sdk: SlowSdk;
  readonly clock: FakeClock;
  readonly host: RoomHost;
  readonly told: string[];
  readonly order: (room: number, message: ToRoomProcess) => Promise<void>;
  /** Leaves all rooms. @returns whether they are left, as it is then */
  readonly leaveAll: () => () => boolean;
}

function scene(): Scene {
  const sdk = new SlowSdk();
  const clock = new FakeClock();
  const told: string[] = [];
  const reader = new FrameReader(({ kind, payload }) => {
    if (kind === FrameKind.message)
      told.push((JSON.parse(Buffer.from(payload).toString()) as FromRoomProcess).type);
  });
  const pipe = new Duplex({
    read: () => undefined,
    write: (bytes: Buffer, _encoding, done) => {
      reader.push(bytes);
      done();
    },
  });
  const host = new RoomHost(pipe, sdk, clock);
  return {
    sdk,
    clock,
    host,
    told,
    order: async (room, message) => {
      const payload = Buffer.from(JSON.stringify(message));
      pipe.push(frameOf({ kind: FrameKind.message, room, lane: 0, timeMs: 0, payload }));
      await rest();
    },
    leaveAll: () => {
      let areLeft = false;
      void host.leaveAll().then(() => (areLeft = true));
      return () => areLeft;
    },
  };
}

await t.test(
  'a process that is to end waits until the server knows of the rooms that it has left',
  async (t) => {
    const { sdk, told, order, leaveAll } = scene();
    await order(1, join);
    await order(1, { type: 'leave' });
    t.same(told, ['ready', 'joined', 'exited'], 'the room is over');
    const areLeft = leaveAll();
    await rest();
    t.equal(areLeft(), false, 'the server doesn’t know yet');
    sdk.answers[0]?.();
    await rest();
    t.equal(areLeft(), true);
  },
);

await t.test('also of those that it leaves by itself, and of those that it has yet to leave', async (t) => {
  const { sdk, clock, told, order, leaveAll } = scene();
  await order(1, join);
  await order(2, join);
  sdk.events?.othersChanged(1);
  sdk.events?.othersChanged(0);
  await clock.pass(1000);
  t.same(told.slice(-1), ['exited'], 'everybody has gone from the second');
  const areLeft = leaveAll();
  await rest();
  t.equal(sdk.left, 2);
  t.equal(areLeft(), false);
  for (const answer of sdk.answers) answer();
  await rest();
  t.equal(areLeft(), true);
});

await t.test('and of one that it was joining when it was told', async (t) => {
  const { sdk, order, leaveAll } = scene();
  sdk.isSlowToJoin = true;
  await order(1, join);
  const areLeft = leaveAll();
  await rest();
  t.equal(areLeft(), false);
  sdk.answers[0]?.();
  await rest();
  t.equal(sdk.left, 1, 'it is left as soon as it is joined');
  t.equal(areLeft(), false);
  sdk.answers[1]?.();
  await rest();
  t.equal(areLeft(), true);
});
