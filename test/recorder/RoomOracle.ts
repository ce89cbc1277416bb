import fc from 'fast-check';
import { RoomScript } from './RoomScript.js';

/** What happens in a room, in frames of a tenth of a second. */
export type RoomEvent =
  | { readonly kind: 'join' | 'leave'; readonly lane: number }
  | { readonly kind: 'talk' | 'hold' | 'away'; readonly frames: number }
  | { readonly kind: 'lose'; readonly lane: number; readonly frames: number };

const lane = fc.integer({ min: 0, max: 2 });

export const roomEvent: fc.Arbitrary<RoomEvent> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('join' as const), lane }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('leave' as const), lane }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('talk' as const), frames: fc.integer({ min: 1, max: 40 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('hold' as const), frames: fc.integer({ min: 1, max: 15 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('away' as const), frames: fc.integer({ min: 1, max: 60 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('lose' as const),
      lane,
      frames: fc.integer({ min: 1, max: 12 }),
    }),
  },
);

const frame = 800;
const frameMs = 100;
/** Frames that have to come before a loss is believed, and one. */
const verdictFrames = 22;
/** So long one is missed who doesn't come back with the worker. */
const returnSamples = 16_000;

/** What is to be found of one lane. */
interface Said {
  readonly pcm: Map<number, number>;
  readonly missing: Set<number>;
  stream: number | null;
  /** Since when it is missed. */
  lostAt: number | null;
}

/**
 * Plays events as a room would, and writes down both what the tap is told and what was said when: a map from positions to samples for each
 * lane, and the positions at which something was said, or may have been, that never came.
 */
export class RoomOracle {
  readonly script: RoomScript;
  readonly lanes = new Map<string, Said>();
  /** Where nobody of reelay's was in the room. */
  readonly unheard = new Set<number>();
  #frames = 0;

  /** @param chunkSeconds - of the recording */
  constructor(chunkSeconds = 60) {
    this.script = new RoomScript({ chunkSeconds }).at(0).event('room_joined');
  }

  get now(): number {
    return this.#frames * frame;
  }

  run(event: RoomEvent): void {
    switch (event.kind) {
      case 'join':
        return this.#join(event.lane);
      case 'leave':
        return this.#leave(event.lane);
      case 'talk':
        for (let n = 0; n < event.frames; n++) this.#talk();
        return;
      case 'hold':
        return this.#hold(event.frames);
      case 'away':
        return this.#away(event.frames);
      case 'lose':
        return this.#lose(event.lane, event.frames);
    }
  }

  end(): RoomScript {
    this.script.at(this.#ms);
    for (const said of this.lanes.values()) {
      if (said.stream !== null) this.script.leave(said.stream);
      if (said.lostAt !== null) this.#miss(said, said.lostAt, Math.min(this.now, this.#until(said)));
    }
    return this.script.end();
  }

  get #ms(): number {
    return this.#frames * frameMs;
  }

  #join(number: number): void {
    const name = `lane-${'abc'[number] ?? ''}`;
    const said = this.lanes.get(name) ?? {
      pcm: new Map<number, number>(),
      missing: new Set<number>(),
      stream: null,
      lostAt: null,
    };
    this.lanes.set(name, said);
    if (said.stream !== null) return;
    said.stream = this.script.at(this.#ms).enter(name);
    if (said.lostAt !== null) this.#miss(said, said.lostAt, Math.min(this.now, this.#until(said)));
    said.lostAt = null;
    this.#talk();
  }

  #leave(number: number): void {
    const said = [...this.lanes.values()][number];
    if (said === undefined || said.stream === null) return;
    this.script.at(this.#ms).leave(said.stream);
    said.stream = null;
  }

  /** A frame of everybody who is there. @param lost - whose doesn't come. @param lateMs - the others' */
  #talk(lost?: Said, later?: (() => void)[]): void {
    const { now } = this;
    this.#frames++;
    const arrival = this.#ms;
    this.script.at(arrival).clock();
    for (const [name, said] of this.lanes) {
      const { stream } = said;
      if (stream === null) continue;
      if (said === lost) {
        this.#miss(said, now, now + frame);
        continue;
      }
      const seed = name.charCodeAt(name.length - 1) * 7;
      const pcm = Int16Array.from({ length: frame }, (_, i) => ((now + i + seed) % 30_011) + 1);
      pcm.forEach((sample, i) => said.pcm.set(now + i, sample));
      const come = (): void => void this.script.say(stream, pcm);
      if (later === undefined) come();
      else later.push(come);
    }
  }

  /** They come all at once. */
  #hold(frames: number): void {
    const later: (() => void)[] = [];
    for (let n = 0; n < frames; n++) this.#talk(undefined, later);
    this.script.at(this.#ms);
    for (const come of later) come();
    // What isn't late any more shows that nothing was lost.
    this.#talk();
  }

  #lose(number: number, frames: number): void {
    const said = [...this.lanes.values()][number];
    if (said === undefined || said.stream === null) return;
    for (let n = 0; n < frames; n++) this.#talk(said);
    for (let n = 0; n < verdictFrames; n++) this.#talk();
  }

  /** The worker is lost, and somebody is in the room again after so many frames. */
  #away(frames: number): void {
    const there = [...this.lanes.values()].filter(({ stream }) => stream !== null);
    this.script.at(this.#ms);
    if (there.length === 0) this.script.event('room_left');
    for (const said of there) {
      this.script.leave(said.stream ?? 0, 'lost');
      said.stream = null;
      said.lostAt = this.now;
    }
    for (const said of this.lanes.values()) {
      // One who was still missed is missed until now, and on.
      if (said.lostAt !== null && !there.includes(said) && this.#until(said) <= this.now) {
        this.#miss(said, said.lostAt, this.#until(said));
        said.lostAt = null;
      }
    }
    for (let n = 0; n < frames; n++) {
      for (let i = 0; i < frame; i++) this.unheard.add(this.now + i);
      this.#frames++;
      this.script.at(this.#ms).clock();
    }
    this.script.at(this.#ms).event('room_joined');
    this.#joinedAt = this.now;
  }

  #joinedAt = 0;

  #until({ lostAt }: Said): number {
    return lostAt === null ? Infinity : this.#joinedAt + returnSamples;
  }

  #miss(said: Said, from: number, to: number): void {
    for (let at = from; at < to; at++) said.missing.add(at);
  }
}
