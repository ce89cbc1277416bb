import type { Player, Selection } from './Player.js';
import { goLive } from './PlayerBar.js';
import type { Waveform } from './Waveform.js';

/** What a key does in the view of a recording; docs/page.md has the same list. */
type Deed = (player: Player, waveform: Waveform, jump: (by: 1 | -1) => void) => void;

const hear =
  (selection: Selection): Deed =>
  (player) =>
    player.select(selection);
const move =
  (seconds: number): Deed =>
  (player) =>
    player.seek(player.position + seconds);

const keys: Readonly<Record<string, Deed>> = {
  ' ': (player) => player.toggle(),
  k: (player) => player.toggle(),
  ArrowLeft: move(-5),
  ArrowRight: move(5),
  j: move(-10),
  l: move(10),
  ',': move(-0.1),
  '.': move(0.1),
  Home: (player) => player.seek(0),
  End: (player) => (player.isLive ? goLive(player) : player.seek(player.duration)),
  '+': (player) => player.changeSpeed(1),
  '=': (player) => player.changeSpeed(1),
  '-': (player) => player.changeSpeed(-1),
  n: (_player, _waveform, jump) => jump(1),
  p: (_player, _waveform, jump) => jump(-1),
  z: (_player, waveform) => waveform.zoom(1),
  x: (_player, waveform) => waveform.zoom(-1),
  f: (_player, waveform) => waveform.showAll(),
  '0': hear('all'),
  '1': hear('0'),
  '2': hear('1'),
  '3': hear('mix'),
};
/** What has a use for keys itself keeps them; a button keeps what presses it. */
const typing = 'input, textarea, select, [contenteditable], dialog';
const pressing = 'button, a, summary';

/** The player by the keyboard, wherever in the view one is. */
export class PlayerKeys {
  readonly #pressed: (event: KeyboardEvent) => void;

  /** @param jump - to the next event or gap, or the one before */
  constructor(player: Player, waveform: Waveform, jump: (by: 1 | -1) => void) {
    this.#pressed = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      const place = event.target instanceof Element ? event.target : document.body;
      const deed = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (deed === undefined || place.closest(typing) !== null) return;
      if (event.key === ' ' && place.closest(pressing) !== null) return;
      event.preventDefault();
      deed(player, waveform, jump);
    };
  }

  start(): void {
    document.addEventListener('keydown', this.#pressed);
  }

  stop(): void {
    document.removeEventListener('keydown', this.#pressed);
  }
}
