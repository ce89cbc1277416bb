import * as fc from 'fast-check';
import { pino } from 'pino';
import t from 'tap';
import { LiveCalls } from '../../src/control/library/LiveCalls.js';
import { Call } from '../../src/relay/Call.js';
import type { CallStream } from '../../src/relay/Call.js';
import { CallChanges } from '../../src/relay/CallChanges.js';
import type { CallsNotice } from '../../src/relay/CallChanges.js';
import { silentCall } from '../../src/relay/SilentTap.js';
import { until } from './fixtures/until.js';

const log = pino({ level: 'silent' });

function callOf(name: number, onOver: () => void): Call {
  const identity = { accountId: 'AC1', provider: 'twilio', callId: `CA${name}`, startedMs: 0 };
  const unknown = { from: null, to: null, direction: null };
  return new Call({
    identity: { ...identity, ...unknown },
    log,
    begin: () => ({ recordingId: `r${name}`, tap: silentCall, keepsAudio: true }),
    isAwaited: false,
    masksDigits: false,
    resumeMs: 0,
    onLive: () => undefined,
    onOver,
  });
}

function nothing(): void {
  // It isn't recorded.
}

const stream = {
  streamId: 'MZ1',
  role: 'call',
  upstreamState: 'open',
  comeBack: (then: () => void) => then(),
  beginRecording: nothing,
  endRecording: nothing,
} as const;

await t.test(
  'whatever calls do, who is told in slices knows in the end which are up, in their order',
  async (t) => {
    const step = fc.constantFrom('begin', 'change', 'end', 'forget', 'pause');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(step, fc.nat()), { maxLength: 300 }), async (steps) => {
        let known = new LiveCalls();
        const changes = new CallChanges((notice) => known.take(notice));
        const up: { readonly call: Call; readonly streams: CallStream[] }[] = [];
        for (const [index, [kind, pick]] of steps.entries()) {
          const one = up[pick % Math.max(1, up.length)];
          if (kind === 'begin') {
            const call: Call = callOf(index, () => changes.note(call));
            call.attach(stream);
            up.push({ call, streams: [stream] });
            changes.note(call);
          } else if (kind === 'pause') await new Promise(setImmediate);
          else if (kind === 'forget') {
            known = new LiveCalls();
            changes.tellAll();
          } else if (one !== undefined && kind === 'end') {
            for (const each of one.streams) one.call.detach(each, 'stop');
            up.splice(up.indexOf(one), 1);
          } else if (one !== undefined) {
            const another = { ...stream, streamId: `MZ${index}` };
            one.call.attach(another);
            one.streams.push(another);
            changes.note(one.call);
          }
        }
        changes.tellAll();
        // As many turns as there may be slices.
        for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
        changes.stop();
        return JSON.stringify(known.all) === JSON.stringify(up.map(({ call }) => call.view()));
      }),
      { numRuns: 100 },
    );
    t.pass('for every sequence');
  },
);

await t.test(
  'a change alone is told alone, and a long list in slices, one in a turn of the loop',
  async (t) => {
    const notices: CallsNotice[] = [];
    const changes = new CallChanges((notice) => notices.push(notice));
    t.teardown(() => changes.stop());
    const calls = Array.from({ length: 120 }, (_none, index) => callOf(index, () => undefined));
    for (const call of calls) {
      call.attach(stream);
      changes.note(call);
    }
    await until(() => notices.length === 3, 'three notices');
    t.same(
      notices.map((notice) => [notice.isWhole, notice.changes.length]),
      [
        [false, 50],
        [false, 50],
        [false, 20],
      ],
    );
    notices.length = 0;
    const [first] = calls;
    if (first === undefined) throw new Error('there is one');
    for (let times = 0; times < 10; times++) changes.note(first);
    await until(() => notices.length > 0, 'a notice');
    t.match(notices, [{ isWhole: false, changes: [{ id: 1, call: { callId: 'CA0', streams: ['MZ1'] } }] }]);
    first.detach(stream, 'stop');
    changes.note(first);
    await until(() => notices.length > 1, 'another');
    t.same(notices[1], { isWhole: false, changes: [{ id: 1, call: null }] });
    notices.length = 0;
    changes.tellAll();
    t.match(notices[0], { isWhole: true, changes: { length: 50 } });
    await until(() => notices.length === 3, 'the rest');
    t.ok(notices.slice(1).every(({ isWhole }) => !isWhole));
    t.equal(notices.flatMap((notice) => notice.changes).length, 119);
  },
);
