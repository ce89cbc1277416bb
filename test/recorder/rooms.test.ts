import t from 'tap';
import { timelineOf } from '../../src/recorder/timeline/timelineOf.js';
import { RecordKind } from '../../src/tap/TapRecord.js';
import { numbered } from './CallScript.js';
import { difference } from './rendering.js';
import { renderRoom, RoomScript } from './RoomScript.js';

/** Frames of 100 ms at 8 kHz. */
const frameMs = 100;
const frame = 800;
const perMs = 8;

/** Says numbered samples from one time to another, each frame when it is over; `lateMs` late. */
function talk(script: RoomScript, stream: number, fromMs: number, toMs: number, lateMs = 0): void {
  for (let ms = fromMs; ms < toMs; ms += frameMs)
    script.at(ms + frameMs + lateMs).say(stream, numbered(ms * perMs, frame));
}

void t.test(
  'a room where nobody says anything is silence from the join on, and time moves by the clock',
  (t) => {
    const script = new RoomScript().at(0).event('room_joined').event('nobody_published');
    for (let ms = 0; ms <= 40_000; ms += 1000) script.at(ms).clock();
    const { timeline } = renderRoom(script.at(40_000));
    t.equal(timeline.state.length, 40_000 * perMs);
    const { length, gaps, mix } = renderRoom(script.end(), 3);
    t.equal(length, 320_000);
    t.strictSame(gaps, []);
    t.equal(difference(mix, new Int16Array(length)), -1);
    t.end();
  },
);

void t.test('what is final moves while nobody is there', (t) => {
  const script = new RoomScript().at(0).event('room_joined');
  const [, joined] = script.records;
  const timeline = timelineOf({ facts: script.facts, arrivalMs: 1_000_000 });
  if (joined !== undefined) timeline.apply(joined);
  timeline.advance(1_005_000);
  t.equal(timeline.final, (5000 - 1500) * perMs);
  t.equal(timeline.preview(), 5000 * perMs);
  t.end();
});

void t.test('the time before the join is a gap: nobody knows what was said', (t) => {
  const script = new RoomScript().at(700).event('room_joined');
  const { gaps } = renderRoom(script.at(2000).clock().end());
  t.same(gaps, [{ channel: 0, startSample: 0, samples: 700 * perMs, cause: 'room_left' }]);
  t.end();
});

void t.test(
  'a first frame lies where it arrived, to ten milliseconds, and the rest behind it whatever its arrival',
  (t) => {
    const script = new RoomScript().at(0).event('room_joined').at(1003);
    const alice = script.enter('alice');
    script.at(1103).say(alice, numbered(0, frame));
    // A stall of the worker, and a burst.
    for (let n = 1; n < 20; n++)
      script.at(Math.max(3003, 1103 + n * frameMs)).say(alice, numbered(n * frame, frame));
    script.at(3103).leave(alice).end();
    const { lanes, mix, gaps, length } = renderRoom(script, 2, 3);
    t.equal(length, 3103 * perMs);
    const wanted = new Int16Array(length);
    wanted.set(numbered(0, 20 * frame), 1000 * perMs);
    t.equal(difference(lanes.get('alice')?.pcm, wanted), -1);
    t.equal(difference(mix, wanted), -1);
    t.strictSame(gaps, []);
    t.strictSame(lanes.get('alice')?.gaps, []);
    t.end();
  },
);

void t.test('two who talk at once are summed in the mix, saturated, and alone on their lanes', (t) => {
  const script = new RoomScript().at(0).event('room_joined');
  const [alice, bob] = [script.enter('alice'), script.enter('bob')];
  const loud = Int16Array.from({ length: frame }, () => 20_000);
  const low = Int16Array.from({ length: frame }, () => -30_000);
  script.at(100).say(alice, loud).say(bob, loud);
  script.at(200).say(alice, loud).say(bob, low);
  script.at(210).leave(alice).leave(bob).end();
  const { mix, lanes } = renderRoom(script);
  t.equal(mix[0], 32_767);
  t.equal(mix[frame], -10_000);
  t.equal(lanes.get('alice')?.pcm[frame], 20_000);
  t.equal(lanes.get('bob')?.pcm[frame], -30_000);
  t.end();
});

void t.test('who joins late is silent before, and no gap, and who leaves is silent behind', (t) => {
  const script = new RoomScript().at(0).event('room_joined');
  const alice = script.enter('alice');
  talk(script, alice, 0, 3000);
  const bob = script.at(3000).enter('bob');
  talk(script, bob, 3000, 4000);
  script.at(4010).leave(bob);
  for (let ms = 3000; ms < 9000; ms += frameMs)
    script.at(ms + frameMs).say(alice, numbered(ms * perMs, frame));
  script.at(9000).leave(alice).end();
  const { lanes, gaps } = renderRoom(script, 7, 5);
  t.strictSame(gaps, []);
  t.strictSame(lanes.get('bob')?.gaps, []);
  const wanted = new Int16Array(9000 * perMs);
  wanted.set(numbered(3000 * perMs, 8000), 3000 * perMs);
  t.equal(difference(lanes.get('bob')?.pcm, wanted), -1);
  t.end();
});

void t.test('frames that never came are a gap of their length, on the lane and on the mix', (t) => {
  const script = new RoomScript().at(0).event('room_joined');
  const [alice, bob] = [script.enter('alice'), script.enter('bob')];
  for (let ms = 0; ms < 10_000; ms += frameMs) {
    script.at(ms + frameMs);
    if (ms < 4000 || ms >= 4500) script.say(alice, numbered(ms * perMs, frame));
    script.say(bob, numbered(ms * perMs, frame));
  }
  script.at(10_000).leave(alice).leave(bob).end();
  const lost = [{ channel: 0, startSample: 4000 * perMs, samples: 500 * perMs, cause: 'lost_by_provider' }];
  for (const [pull, restore] of [
    [0, 0],
    [1, 0],
    [3, 7],
  ] as const) {
    const { lanes, gaps, length, timeline } = renderRoom(script, pull, restore);
    t.equal(length, 80_000);
    t.same(gaps, lost);
    t.same(lanes.get('alice')?.gaps, lost);
    t.strictSame(lanes.get('bob')?.gaps, []);
    const wanted = numbered(0, 80_000).fill(0, 32_000, 36_000);
    t.equal(difference(lanes.get('alice')?.pcm, wanted), -1);
    const adjusted = timeline.state.events.filter(({ type }) => type === 'lane_adjusted');
    t.match(adjusted, [{ lane: 'alice', samples: 4000, sample: 32_000 }]);
  }
  t.end();
});

void t.test('single frames that are late, and a burst after a stall, move nothing', (t) => {
  const script = new RoomScript().at(0).event('room_joined');
  const alice = script.enter('alice');
  for (let ms = 0; ms < 20_000; ms += frameMs) {
    // Now and then one, for a second and a half each, and for two seconds none at all.
    const slow = ms >= 4000 && ms < 5500 ? 150 : 0;
    const late =
      (ms / frameMs) % 7 === 3 ? 90 : slow > 0 ? slow : ms >= 9000 && ms < 10_900 ? 11_000 - ms - frameMs : 0;
    script.at(ms + frameMs + late).say(alice, numbered(ms * perMs, frame));
  }
  script.at(20_100).leave(alice).end();
  const { lanes, timeline } = renderRoom(script, 1);
  t.equal(difference(lanes.get('alice')?.pcm.subarray(0, 160_000), numbered(0, 160_000)), -1);
  t.notOk(timeline.state.events.some(({ type }) => type === 'lane_adjusted'));
  t.end();
});

void t.test(
  'samples that come twice are left out where it is quiet, and never where somebody speaks for less than five seconds',
  (t) => {
    const loud = (): Int16Array => numbered(9000, frame);
    const script = new RoomScript().at(0).event('room_joined');
    const alice = script.enter('alice');
    let ms = 0;
    const say = (pcm: Int16Array): void => {
      ms += frameMs;
      script.at(ms).say(alice, pcm);
    };
    const twice = 15 * perMs;
    for (let n = 0; n < 20; n++) say(loud());
    script.at(ms).say(alice, loud().subarray(0, twice));
    for (let n = 0; n < 40; n++) say(loud());
    for (let n = 0; n < 5; n++) say(new Int16Array(frame));
    for (let n = 0; n < 30; n++) say(loud());
    const { timeline, length, lanes } = renderRoom(script.at(ms).leave(alice).end(), 1, 4);
    const [adjusted, ...others] = timeline.state.events.filter(({ type }) => type === 'lane_adjusted');
    t.strictSame(others, []);
    t.equal(adjusted?.['samples'], -twice);
    t.equal(length, ms * perMs);
    const silent = lanes.get('alice')?.pcm.filter((sample) => sample === 0).length;
    t.equal(silent, 5 * frame - twice, 'of the silence so much has gone, and nothing of what was said');
    t.end();
  },
);

void t.test(
  'what is off by more than anybody may be is left out near to where it began, quiet or not',
  (t) => {
    for (const isOnTime of [true, false]) {
      const script = new RoomScript().at(0).event('room_joined');
      const alice = script.enter('alice', { isOnTime });
      talk(script, alice, 0, 2000);
      script.say(alice, numbered(400, 30 * perMs));
      talk(script, alice, 2000, 3500);
      for (let ms = 3500; ms < 4000; ms += frameMs) script.at(ms + frameMs).say(alice, new Int16Array(frame));
      talk(script, alice, 4000, 9000);
      const { timeline, lanes } = renderRoom(script.leave(alice).end(), 1, 4);
      const adjusted = timeline.state.events.filter(({ type }) => type === 'lane_adjusted');
      // What comes when it arrives may have been held up by the network: that waits until it is quiet.
      t.match(adjusted, [{ samples: -30 * perMs, sample: isOnTime ? 16_000 : 28_240 }]);
      const pcm = lanes.get('alice')?.pcm;
      if (isOnTime) t.equal(difference(pcm?.subarray(0, 28_000), numbered(0, 28_000)), -1);
      t.equal(difference(pcm?.subarray(32_000), numbered(32_000, 40_000)), -1);
    }
    t.end();
  },
);

void t.test('a lane that is off when it ends is put right where that began, though nobody was quiet', (t) => {
  for (const [forMs, wanted] of [
    [3000, [{ lane: 'alice', samples: -frame, sample: 16_000 }]],
    [1000, []],
  ] as const) {
    const script = new RoomScript().at(0).event('room_joined');
    const alice = script.enter('alice');
    talk(script, alice, 0, 2000);
    script.say(alice, numbered(0, frame));
    talk(script, alice, 2000, 2000 + forMs);
    const { timeline, lanes, length } = renderRoom(script.leave(alice).end(), 1, 4);
    const adjusted = timeline.state.events.filter(({ type }) => type === 'lane_adjusted');
    t.equal(adjusted.length, wanted.length, `off for ${forMs} ms`);
    t.match(adjusted, wanted);
    if (wanted.length === 0) continue;
    // The least loud place near to where it began is the very frame that is there twice.
    t.equal(length, (2000 + forMs) * perMs);
    t.equal(difference(lanes.get('alice')?.pcm, numbered(0, length)), -1);
  }
  t.end();
});

void t.test('what goes off in two steps is put right where each of them began', (t) => {
  for (const [secondMs, wanted] of [
    [4500, [-frame, -frame]],
    // Before anything is known of the first one, they are one.
    [3000, [-2 * frame]],
  ] as const) {
    const script = new RoomScript().at(0).event('room_joined');
    const alice = script.enter('alice');
    talk(script, alice, 0, 2000);
    script.say(alice, numbered(0, frame));
    talk(script, alice, 2000, secondMs);
    script.say(alice, numbered(0, frame));
    talk(script, alice, secondMs, 9000);
    const { timeline, lanes, length } = renderRoom(script.leave(alice).end(), 1, 4);
    const adjusted = timeline.state.events.filter(({ type }) => type === 'lane_adjusted');
    t.strictSame(
      adjusted.map(({ samples }) => samples),
      wanted,
    );
    t.equal(length, 9000 * perMs);
    const pcm = lanes.get('alice')?.pcm;
    if (wanted.length === 2) t.equal(difference(pcm, numbered(0, length)), -1);
    else t.equal(difference(pcm?.subarray(32_000), numbered(32_000, length - 32_000)), -1);
  }
  t.end();
});

void t.test('a clock that runs away is followed in the long run', (t) => {
  // 0.1 % fast, for five minutes: 300 ms too much.
  const script = new RoomScript().at(0).event('room_joined');
  const alice = script.enter('alice');
  for (let n = 0; n < 3003; n++)
    script.at((n + 1) * 99.9).say(alice, n % 10 === 0 ? new Int16Array(frame) : numbered(n, frame));
  script.at(300_000).leave(alice).end();
  const { timeline, length } = renderRoom(script, 11);
  t.equal(length, 2_400_000);
  const stream = timeline.state.streams.get(alice);
  t.ok(Math.abs((stream?.ends.caller ?? 0) - 2_400_000) < 100 * perMs, `ends at ${stream?.ends.caller ?? 0}`);
  t.ok(timeline.state.events.filter(({ type }) => type === 'lane_adjusted').length >= 3);
  t.end();
});

void t.test('a mute is silence, whether frames come in it or not', (t) => {
  for (const comes of [true, false]) {
    const script = new RoomScript().at(0).event('room_joined');
    const alice = script.enter('alice');
    talk(script, alice, 0, 3000);
    script.at(3000).event('lane_muted', { lane: 'alice' });
    if (comes)
      for (let ms = 3000; ms < 43_000; ms += frameMs)
        script.at(ms + frameMs).say(alice, new Int16Array(frame));
    else for (let ms = 3000; ms < 43_000; ms += 1000) script.at(ms + 1000).clock();
    script.at(43_000).event('lane_unmuted', { lane: 'alice' });
    talk(script, alice, 43_000, 45_000);
    script.at(45_000).leave(alice).end();
    const { lanes, gaps, length, timeline } = renderRoom(script, 5, 9);
    t.equal(length, 360_000);
    t.strictSame(gaps, [], comes ? 'frames come' : 'none come');
    t.strictSame(lanes.get('alice')?.gaps, []);
    const wanted = numbered(0, length).fill(0, 24_000, 43_000 * perMs);
    t.equal(difference(lanes.get('alice')?.pcm, wanted), -1);
    t.notOk(timeline.state.events.some(({ type }) => type === 'lane_adjusted'));
  }
  t.end();
});

void t.test('a worker that was lost leaves a gap of its true length on everything it heard', (t) => {
  const script = new RoomScript().at(0).event('room_joined');
  const [alice, bob] = [script.enter('alice'), script.enter('bob')];
  for (let ms = 0; ms < 5000; ms += frameMs)
    script
      .at(ms + frameMs)
      .say(alice, numbered(ms * perMs, frame))
      .say(bob, numbered(ms * perMs, frame));
  script.at(5200).leave(alice, 'lost').leave(bob, 'lost');
  for (let ms = 6000; ms < 45_000; ms += 1000) script.at(ms).clock();
  script.at(45_000).event('room_joined');
  const again = script.at(45_500).enter('alice');
  talk(script, again, 45_500, 50_000);
  script.at(50_000).leave(again).end();
  const gap = (fromMs: number, toMs: number): object => ({
    channel: 0,
    startSample: fromMs * perMs,
    samples: (toMs - fromMs) * perMs,
    cause: 'room_left',
  });
  for (const [pull, restore] of [
    [0, 0],
    [2, 3],
  ] as const) {
    const { lanes, gaps, length, timeline } = renderRoom(script, pull, restore);
    t.equal(length, 400_000);
    t.same(lanes.get('alice')?.gaps, [gap(5000, 45_500)]);
    t.same(lanes.get('bob')?.gaps, [gap(5000, 47_000)], 'one who doesn’t come back is given up');
    t.same(gaps, [gap(5000, 47_000)]);
    t.equal(timeline.state.streams.size, 3);
    const wanted = numbered(0, length).fill(0, 40_000, 45_500 * perMs);
    t.equal(difference(lanes.get('alice')?.pcm, wanted), -1);
  }
  t.end();
});

void t.test('one track that is lost while the others go on is missed for half a minute at most', (t) => {
  const script = new RoomScript().at(0).event('room_joined');
  const [alice, bob] = [script.enter('alice'), script.enter('bob')];
  for (let ms = 0; ms < 60_000; ms += frameMs) {
    script.at(ms + frameMs).say(alice, numbered(ms * perMs, frame));
    if (ms < 10_000) script.say(bob, numbered(ms * perMs, frame));
    if (ms === 10_000) script.leave(bob, 'lost');
  }
  const { lanes, gaps } = renderRoom(script.at(60_000).leave(alice).end(), 13, 17);
  const missed = [{ channel: 0, startSample: 80_000, samples: 240_000, cause: 'room_left' }];
  t.same(lanes.get('bob')?.gaps, missed);
  t.same(gaps, missed);
  t.strictSame(lanes.get('alice')?.gaps, []);
  t.end();
});

void t.test('of two streams of one lane the newer counts, from its first frame on', (t) => {
  const script = new RoomScript().at(0).event('room_joined');
  const old = script.enter('alice');
  talk(script, old, 0, 1000);
  const young = script.at(1000).enter('alice');
  for (let ms = 1000; ms < 3000; ms += frameMs) {
    script.at(ms + frameMs).say(old, numbered(5, frame));
    if (ms >= 1500) script.say(young, numbered(ms * perMs, frame));
  }
  script.at(3000).leave(old).leave(young).end();
  const { lanes, length } = renderRoom(script, 3, 4);
  const wanted = numbered(0, length);
  for (let ms = 1000; ms < 1500; ms += frameMs) wanted.set(numbered(5, frame), ms * perMs);
  t.equal(difference(lanes.get('alice')?.pcm, wanted), -1);
  t.end();
});

void t.test('records that were dropped are a gap on the lane, which counts anew behind it', (t) => {
  const script = new RoomScript().at(0).event('room_joined');
  const alice = script.enter('alice');
  talk(script, alice, 0, 2000);
  script.at(3000).add(RecordKind.dropped, { records: 10, sinceMs: 1_002_100 });
  talk(script, alice, 3000, 6000);
  const { lanes, timeline, gaps } = renderRoom(script.at(6000).leave(alice).end(), 2);
  t.ok(timeline.state.lossy);
  const dropped = [{ channel: 0, startSample: 16_000, samples: 8000, cause: 'dropped_by_reelay' }];
  t.same(lanes.get('alice')?.gaps, dropped);
  t.same(gaps, dropped);
  t.equal(difference(lanes.get('alice')?.pcm, numbered(0, 48_000).fill(0, 16_000, 24_000)), -1);
  t.end();
});

void t.test('a pause takes everybody out, as silence or shorter, and what was on its way too', (t) => {
  for (const mode of ['silence', 'skip'] as const) {
    const script = new RoomScript().at(0).event('room_joined');
    const alice = script.enter('alice');
    talk(script, alice, 0, 2000);
    script.at(2000).add(RecordKind.pause, { paused: true, mode });
    // The worker's reader has not heard of it yet.
    script.at(2100).say(alice, numbered(9, frame));
    for (let ms = 2100; ms < 4000; ms += frameMs) script.at(ms + frameMs).sayMuted(alice, frame);
    script.at(4000).add(RecordKind.pause, { paused: false });
    talk(script, alice, 4000, 6000);
    script.at(6000).leave(alice).end();
    const { lanes, length, gaps } = renderRoom(script, 3, 5);
    const pcm = lanes.get('alice')?.pcm;
    if (mode === 'silence') {
      t.equal(length, 48_000);
      t.same(gaps, [{ channel: 0, startSample: 16_000, samples: 16_000, cause: 'paused' }]);
      t.equal(difference(pcm, numbered(0, 48_000).fill(0, 16_000, 32_000)), -1);
    } else {
      t.equal(length, 32_000);
      t.strictSame(gaps, []);
      t.equal(difference(pcm?.subarray(0, 16_000), numbered(0, 16_000)), -1);
      t.equal(difference(pcm?.subarray(16_000), numbered(32_000, 16_000)), -1);
    }
  }
  t.end();
});

void t.test('a name that is no file’s, and a stream that is no lane’s, are kept all the same', (t) => {
  const script = new RoomScript().at(0).event('room_joined');
  const odd = script.enter('../../etc/passwd');
  script.at(100).say(odd, numbered(0, frame));
  const { lanes } = renderRoom(script.at(200).leave(odd).end());
  t.strictSame([...lanes.keys()], ['lane-1']);
  t.equal(difference(lanes.get('lane-1')?.pcm.subarray(0, frame), numbered(0, frame)), -1);
  t.end();
});

void t.test('a journal that ends in the middle ends the recording with the last frame', (t) => {
  const script = new RoomScript().at(0).event('room_joined');
  const alice = script.enter('alice');
  talk(script, alice, 0, 2000);
  const { length, timeline } = renderRoom(script.at(2700).clock());
  t.equal(length, 16_000);
  t.equal(timeline.state.streams.get(alice)?.endReason, 'lost');
  t.end();
});
