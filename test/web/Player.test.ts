import t from 'tap';
import { FakeAudio } from './fixtures/FakeAudio.js';

/** The module as a browser gets it: it is compiled for one, and its types are a browser's. */
interface PlayerModule {
  readonly Player: new (
    api: object,
    recordingId: string,
    listeners: { readonly changed: () => void; readonly failed: (error: Error) => void },
  ) => {
    readonly audio: FakeAudio;
    readonly position: number;
    readonly isPlaying: boolean;
    readonly isWaiting: boolean;
    readonly selection: string;
    readonly speed: number;
    extend(extent: object): void;
    play(): void;
    seek(seconds: number): void;
    select(selection: string): void;
    changeSpeed(by: 1 | -1): void;
  };
}

const { Player } = (await import(new URL('../../src/web/Player.js', import.meta.url).href)) as PlayerModule;
t.intercept(globalThis as unknown as { document: unknown }, 'document', {
  value: { createElement: () => new FakeAudio() },
});
t.intercept(globalThis as unknown as { HTMLMediaElement: unknown }, 'HTMLMediaElement', {
  value: { HAVE_NOTHING: 0 },
});

const rate = 8000;

function start() {
  const player = new Player({}, 'r1', { changed: () => undefined, failed: () => undefined });
  const extend = (seconds: number, isLive: boolean, channels = 2): void =>
    player.extend({ samples: seconds * rate, sampleRate: rate, channels, isLive });
  return { player, audio: player.audio, extend };
}

void t.test('a running call is played piece by piece, without a jump between them', (t) => {
  const { player, audio, extend } = start();
  player.play();
  extend(0, true);
  t.equal(audio.src, '', 'there is nothing yet');
  extend(3, true);
  t.equal(audio.src, `v1/recordings/r1/audio.wav?to=${3 * rate}`);
  audio.loaded(3);
  t.notOk(audio.paused, 'it plays what it was asked to play before there was anything');
  player.changeSpeed(1);
  extend(4, true);
  audio.reachEnd();
  t.ok(player.isWaiting, 'for a piece that is worth a request');
  extend(4.5, true);
  t.ok(player.isWaiting);
  extend(5.5, true);
  t.equal(audio.src, `v1/recordings/r1/audio.wav?to=${5.5 * rate}`);
  t.equal(player.position, 3, 'also while it loads');
  audio.loaded(5.5);
  t.equal(audio.currentTime, 3);
  t.equal(player.speed, 1.25, 'its speed stays');
  t.notOk(audio.paused);
  extend(6, false);
  audio.reachEnd();
  t.equal(audio.src, 'v1/recordings/r1/audio.wav', 'what the call’s end brought is played, too');
  audio.loaded(6);
  t.equal(audio.currentTime, 5.5);
  audio.reachEnd();
  t.notOk(player.isPlaying || player.isWaiting);
  player.play();
  t.equal(audio.currentTime, 0, 'once more from the beginning');
  t.end();
});

void t.test('whoever goes where nothing was loaded yet gets there', (t) => {
  const { player, audio, extend } = start();
  extend(3, true);
  audio.loaded(3);
  extend(9, true);
  player.seek(8);
  t.equal(audio.src, `v1/recordings/r1/audio.wav?to=${9 * rate}`);
  audio.loaded(9);
  t.equal(audio.currentTime, 8);
  player.seek(99);
  t.equal(audio.currentTime, 9, 'and no further than there is');
  const early = start();
  early.player.seek(12.5);
  early.extend(20, false);
  early.audio.loaded(20);
  t.equal(early.audio.currentTime, 12.5, 'an address may say where before anything is known');
  t.end();
});

void t.test('another party is heard from the same place', (t) => {
  const { player, audio, extend } = start();
  extend(10, false);
  audio.loaded(10);
  player.seek(4);
  player.select('1');
  t.equal(audio.src, 'v1/recordings/r1/audio.wav?channel=1');
  audio.loaded(10);
  t.equal(audio.currentTime, 4);
  const single = start();
  single.extend(10, false, 1);
  single.player.select('1');
  t.equal(single.player.selection, 'all', 'of one channel there is nothing to choose from');
  t.end();
});
