import t from 'tap';
import { ClipPlayback } from '../../src/simulators/ClipPlayback.js';
import { maxMarks, StreamingPlayback } from '../../src/simulators/StreamingPlayback.js';

function audio(samples: number): Int16Array {
  return new Int16Array(samples).fill(7);
}

// jambonz.md, the table of thresholds by leg rate and return rate, in ms.
const thresholds = [
  { leg: 8000, rate: 8000, first: 160, later: 80 },
  { leg: 8000, rate: 16_000, first: 160, later: 80 },
  { leg: 8000, rate: 24_000, first: 160, later: 80 },
  { leg: 16_000, rate: 16_000, first: 80, later: 40 },
  { leg: 16_000, rate: 24_000, first: 160 / 3, later: 80 / 3 },
  { leg: 16_000, rate: 8000, first: 160, later: 80 },
];

for (const { leg, rate, first, later } of thresholds) {
  await t.test(
    `a ${leg} Hz leg with ${rate} Hz audio waits for ${first.toFixed(0)} then ${later.toFixed(0)} ms`,
    (t) => {
      const playback = new StreamingPlayback({ sampleRate: rate, legSampleRate: leg });
      const needed = Math.round((first * rate) / 1000);
      playback.append(audio(needed - 1), 0);
      t.equal(playback.queue.appended, 0);
      t.equal(playback.heldSamples, needed - 1);
      playback.append(audio(1), 0);
      t.equal(playback.queue.appended, needed);
      const next = Math.round((later * rate) / 1000);
      playback.append(audio(next - 1), 1);
      t.equal(playback.queue.appended, needed);
      playback.append(audio(1), 2);
      t.equal(playback.queue.appended, needed + next);
      t.end();
    },
  );
}

await t.test(
  'the tail below the threshold survives killAudio and plays in front of the next utterance',
  (t) => {
    const playback = new StreamingPlayback({ sampleRate: 8000 });
    playback.append(audio(1280), 0);
    playback.append(
      Int16Array.from({ length: 100 }, () => 3),
      10,
    );
    playback.clear(30);
    t.equal(playback.queue.end, 320, 'cut at the next tick');
    t.equal(playback.heldSamples, 100);
    playback.append(audio(540), 500);
    const heard = playback.heard(1000).flatMap(({ audio }) => [...audio]);
    t.equal(heard.length, 320 + 640);
    t.same(heard.slice(320, 420), new Array(100).fill(3));
    t.end();
  },
);

await t.test('a mark fires when the audio behind it begins', (t) => {
  const playback = new StreamingPlayback({ sampleRate: 8000 });
  playback.append(audio(1280), 0);
  playback.mark('middle', 0);
  playback.append(audio(640), 0);
  t.equal(playback.dueMs, 160);
  t.same(playback.advance(159), []);
  t.same(playback.advance(160), [{ name: 'middle', dueMs: 160, cleared: false }]);
  t.end();
});

await t.test('without further audio one mark fires per tick once the buffer is empty', (t) => {
  const playback = new StreamingPlayback({ sampleRate: 8000 });
  playback.append(audio(1280), 0);
  for (const name of ['a', 'b', 'c']) playback.mark(name, 10);
  t.same(
    playback.advance(1000).map(({ name, dueMs }) => [name, dueMs]),
    [
      ['a', 160],
      ['b', 180],
      ['c', 200],
    ],
  );
  t.end();
});

await t.test('killAudio reports every pending mark as cleared, clearMarks none', (t) => {
  const playback = new StreamingPlayback({ sampleRate: 8000 });
  playback.append(audio(1280), 0);
  playback.mark('placed', 0);
  playback.append(audio(640), 0);
  playback.mark('held', 0);
  playback.append(audio(10), 0);
  playback.mark('waiting', 0);
  playback.clear(50);
  t.same(
    playback.advance(50).map(({ name, cleared }) => [name, cleared]),
    [
      ['placed', true],
      ['held', true],
      ['waiting', true],
    ],
  );
  playback.mark('forgotten', 60);
  playback.forgetMarks();
  t.same(playback.advance(1000), []);
  t.equal(playback.dueMs, Infinity);
  t.end();
});

await t.test('the thirty-first outstanding mark is discarded', (t) => {
  const playback = new StreamingPlayback({ sampleRate: 8000 });
  playback.append(audio(8000), 0);
  for (let index = 0; index < maxMarks; index += 1) t.ok(playback.mark(String(index), 0));
  t.notOk(playback.mark('one too many', 0));
  t.equal(playback.advance(100_000).length, maxMarks);
  t.end();
});

await t.test('queued clips follow each other and each reports its end', (t) => {
  const clips = new ClipPlayback(8000);
  clips.play({ id: 'a', audio: audio(800), queued: true }, 0);
  clips.play({ id: 'b', audio: audio(800), queued: true }, 10);
  t.equal(clips.dueMs, 100);
  t.same(clips.advance(150), [{ id: 'a', playedSamples: 800 }]);
  clips.kill(150);
  t.same(clips.advance(150), [{ id: 'b', playedSamples: 400 }]);
  t.equal(
    clips.queue.heard(1000).reduce((sum, piece) => sum + piece.audio.length, 0),
    1200,
  );
  t.end();
});

await t.test('a clip that is not queued stops the playing one and drops those that wait', (t) => {
  const clips = new ClipPlayback(8000);
  clips.play({ id: 'a', audio: audio(800), queued: false }, 0);
  clips.play({ id: 'b', audio: audio(800), queued: true }, 0);
  clips.play({ id: 'c', audio: audio(80), queued: false }, 50);
  t.same(clips.advance(1000), [
    { id: 'a', playedSamples: 400 },
    { id: 'c', playedSamples: 80 },
  ]);
  t.end();
});

await t.test('the twelfth waiting clip is lost', (t) => {
  const clips = new ClipPlayback(8000);
  const kept = Array.from({ length: 13 }, () => clips.play({ audio: audio(80), queued: true }, 0));
  t.equal(kept.filter(Boolean).length, 12);
  t.equal(kept.at(-1), false);
  t.end();
});
