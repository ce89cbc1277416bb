import fc from 'fast-check';
import { RecordKind } from '../../src/tap/TapRecord.js';
import { RoomScript } from './RoomScript.js';

/** Something that a room's worker might write, sensible or not. */
export interface RoomStep {
  readonly kind:
    | 'enter'
    | 'frames'
    | 'burst'
    | 'leave'
    | 'lost'
    | 'muted'
    | 'unmuted'
    | 'joined'
    | 'left'
    | 'pause'
    | 'resume'
    | 'dropped'
    | 'clock';
  /** By which the clock goes on, ms; negative: the record was stamped earlier than the one before. */
  readonly ms: number;
  readonly size: number;
  readonly lane: number;
}

export const roomStep: fc.Arbitrary<RoomStep> = fc.record({
  kind: fc.oneof(
    { weight: 5, arbitrary: fc.constant<RoomStep['kind']>('frames') },
    { weight: 2, arbitrary: fc.constantFrom<RoomStep['kind'][]>('enter', 'burst', 'clock') },
    {
      weight: 2,
      arbitrary: fc.constantFrom<RoomStep['kind'][]>(
        'leave',
        'lost',
        'muted',
        'unmuted',
        'joined',
        'left',
        'pause',
        'resume',
        'dropped',
      ),
    },
  ),
  ms: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: -120, max: 900 }) },
    { weight: 1, arbitrary: fc.integer({ min: 900, max: 45_000 }) },
  ),
  size: fc.integer({ min: 0, max: 30 }),
  lane: fc.integer({ min: 0, max: 2 }),
});

const names = ['alice', 'bob', 'carol'];

/** Room records in any order, with clocks that jump and go back. */
export class RoomSoup {
  readonly #script: RoomScript;
  readonly #rate: number;
  /** Streams of each lane that haven't ended, oldest first. */
  readonly #live = new Map<string, number[]>();
  #nowMs = 0;
  #paused = false;

  constructor(sampleRate: number) {
    this.#rate = sampleRate;
    this.#script = new RoomScript({ sampleRate });
  }

  run({ kind, ms, size, lane: number }: RoomStep): void {
    this.#nowMs = Math.max(0, this.#nowMs + ms);
    const lane = names[number] ?? '';
    const live = this.#live.get(lane) ?? [];
    this.#live.set(lane, live);
    const script = this.#script.at(this.#nowMs);
    const stream = live[size % Math.max(1, live.length)];
    if (kind === 'enter') live.push(script.enter(lane, { sampleRate: size % 3 === 0 ? 48_000 : this.#rate }));
    else if (kind === 'clock') script.clock();
    else if (kind === 'joined') script.event('room_joined');
    else if (kind === 'left') script.event('room_left');
    else if (kind === 'muted') script.event('lane_muted', { lane });
    else if (kind === 'unmuted') script.event('lane_unmuted', { lane });
    else if (kind === 'pause') this.#pause(size % 2 === 0 ? 'skip' : 'silence');
    else if (kind === 'resume') this.#resume();
    else if (kind === 'dropped')
      script.add(RecordKind.dropped, { records: size, sinceMs: 1_000_000 + this.#nowMs - size * 20 });
    else if (stream === undefined) return;
    else if (kind === 'frames') this.#frames(stream, size, 100);
    else if (kind === 'burst') this.#frames(stream, size, 0);
    else {
      live.splice(live.indexOf(stream), 1);
      script.leave(stream, kind === 'lost' ? 'lost' : 'stop');
    }
  }

  end(): RoomScript {
    return this.#script.at(this.#nowMs).end();
  }

  #pause(mode: 'skip' | 'silence'): void {
    this.#paused = true;
    this.#script.add(RecordKind.pause, { paused: true, mode });
  }

  #resume(): void {
    this.#paused = false;
    this.#script.add(RecordKind.pause, { paused: false });
  }

  #frames(stream: number, count: number, everyMs: number): void {
    for (let n = 0; n < count; n++) {
      this.#nowMs += everyMs + (n % 3);
      this.#script.at(this.#nowMs);
      const samples = Math.round(this.#rate / 10);
      const loud = n % 4 === 0 ? 0 : 5000;
      if (this.#paused && n > 0) this.#script.sayMuted(stream, samples);
      else
        this.#script.say(
          stream,
          Int16Array.from({ length: samples }, (_, i) => loud + (i % 97)),
        );
    }
  }
}
