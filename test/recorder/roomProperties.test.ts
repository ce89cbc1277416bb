import fc from 'fast-check';
import t from 'tap';
import type { Gap } from '../../src/spool/Manifest.js';
import { difference } from './rendering.js';
import { renderRoom, type RenderedRoom } from './RoomScript.js';
import { roomEvent, RoomOracle } from './RoomOracle.js';
import { RoomSoup, roomStep } from './RoomSoup.js';

/** All runs have to be done by then, ms. */
const mostMs = 120_000;

void t.test(
  'whoever comes, goes, stalls, loses frames or is lost: each lane is as it was said, and the mix their sum',
  (t) => {
    fc.assert(
      fc.property(
        fc.array(roomEvent, { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 0, max: 9 }),
        (events, pull) => {
          const oracle = new RoomOracle();
          oracle.run({ kind: 'join', lane: 0 });
          for (const each of events) oracle.run(each);
          const { mix, lanes, gaps, length } = renderRoom(oracle.end(), pull);
          if (length !== oracle.now) throw new Error(`length ${length}, not ${oracle.now}`);
          const sum = new Int32Array(length);
          const absent = new Set(oracle.unheard);
          for (const [name, said] of oracle.lanes) {
            const found = lanes.get(name);
            const wanted = new Int16Array(length);
            for (const [at, sample] of said.pcm) {
              wanted[at] = sample;
              sum[at] = (sum[at] ?? 0) + sample;
            }
            const at = difference(found?.pcm, wanted);
            if (at >= 0)
              throw new Error(`${name} differs at ${at}: ${found?.pcm[at] ?? ''}, not ${wanted[at] ?? ''}`);
            mustBeGaps(name, found?.gaps ?? [], said.missing);
            for (const each of said.missing) absent.add(each);
          }
          const clipped = Int16Array.from(sum, (each) => Math.min(32_767, each));
          const at = difference(mix, clipped);
          if (at >= 0) throw new Error(`the mix differs at ${at}`);
          mustBeGaps('the mix', gaps, absent);
        },
      ),
      { numRuns: 80, interruptAfterTimeLimit: mostMs, markInterruptAsFailure: true },
    );
    t.pass('80 rooms');
    t.end();
  },
);

void t.test('what is rendered of a room does not depend on when it is taken, nor on restarts', (t) => {
  fc.assert(
    fc.property(
      fc.array(roomEvent, { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 0, max: 30 }),
      (events, pull, restore) => {
        const oracle = new RoomOracle();
        for (const each of events) oracle.run(each);
        const script = oracle.end();
        const once = told(renderRoom(script));
        const often = told(renderRoom(script, pull, restore));
        if (once !== often) throw new Error(`${often}, not ${once}`);
      },
    ),
    { numRuns: 60, interruptAfterTimeLimit: mostMs, markInterruptAsFailure: true },
  );
  t.pass('60 rooms are the same however they are cut');
  t.end();
});

void t.test('whatever comes in whatever order, what is rendered is a function of the records alone', (t) => {
  fc.assert(
    fc.property(
      fc.array(roomStep, { minLength: 5, maxLength: 60 }),
      fc.constantFrom(8000, 11_025, 48_000),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 0, max: 40 }),
      (steps, rate, pull, restore) => {
        const soup = new RoomSoup(rate);
        for (const each of steps) soup.run(each);
        const script = soup.end();
        const rendered = renderRoom(script, pull, restore);
        const [once, often] = [told(renderRoom(script)), told(rendered)];
        if (once !== often) throw new Error(`${often}, not ${once}`);
        const { gaps, lanes, length, mix } = rendered;
        if (mix.length !== length) throw new Error(`${mix.length} samples, not ${length}`);
        for (const [name, { pcm, gaps: missing }] of [['mix', { pcm: mix, gaps }] as const, ...lanes]) {
          if (pcm.length !== length) throw new Error(`${name}: ${pcm.length} samples, not ${length}`);
          mustBeSilent(name, pcm, missing, length);
        }
      },
    ),
    { numRuns: 60, interruptAfterTimeLimit: mostMs, markInterruptAsFailure: true },
  );
  t.pass('60 soups of a room’s records are the same however they are cut');
  t.end();
});

/** Gaps are whole samples within the recording, in order, and nothing but silence. */
function mustBeSilent(where: string, pcm: Int16Array, gaps: readonly Gap[], length: number): void {
  let end = 0;
  for (const gap of gaps) {
    const { startSample, samples } = gap;
    const isWhole = [startSample, samples].every((each) => Number.isInteger(each) && each >= 0);
    if (!isWhole || startSample < end || startSample + samples > length)
      throw new Error(`${where}: a gap ${JSON.stringify(gap)} in ${length} samples`);
    end = startSample + samples;
    if (where !== 'mix' && pcm.subarray(startSample, end).some((sample) => sample !== 0))
      throw new Error(`${where}: something is heard in ${JSON.stringify(gap)}`);
  }
}

function mustBeGaps(where: string, gaps: readonly Gap[], missing: ReadonlySet<number>): void {
  const found = new Set<number>();
  for (const { startSample, samples } of gaps)
    for (let at = startSample; at < startSample + samples; at++) found.add(at);
  for (const at of missing) if (!found.has(at)) throw new Error(`${where}: no gap at ${at}`);
  for (const at of found) if (!missing.has(at)) throw new Error(`${where}: a gap at ${at}`);
}

/** All of it, short enough to be compared and read. */
function told({ mix, lanes, gaps, length, timeline }: RenderedRoom): string {
  const sums = [['mix', mix] as const, ...[...lanes].map(([name, { pcm }]) => [name, pcm] as const)].map(
    ([name, pcm]) => [name, pcm.length, pcm.reduce((sum, each, at) => (sum * 31 + each * (at + 1)) | 0, 7)],
  );
  const each = [...lanes].map(([name, lane]) => [name, lane.gaps]);
  return JSON.stringify([length, sums, gaps, each, timeline.state.events]);
}
