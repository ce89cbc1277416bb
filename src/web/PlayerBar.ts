import type { Manifest } from './documents.js';
import { element } from './element.js';
import { icon } from './icon.js';
import { formatTime } from './formatTime.js';
import { nameOf } from './LaneTable.js';
import { type Player, type Selection, selectionOf, speeds } from './Player.js';

/** The player's buttons. */
export class PlayerBar {
  readonly node: HTMLElement;
  readonly #player: Player;
  readonly #play = element('button', { type: 'button', class: 'play', click: () => this.#player.toggle() });
  readonly #time = element('span', { class: 'time' });
  readonly #status = element('span', { class: 'muted status', role: 'status' });
  readonly #speed = element('select', { id: 'speed', 'aria-label': 'Speed' });
  readonly #channel = element('select', { id: 'channel', 'aria-label': 'Who is heard' });
  readonly #live = element('button', { type: 'button', class: 'live', hidden: true }, 'Go to live');
  #roles = '';

  constructor(player: Player) {
    this.#player = player;
    for (const speed of speeds) this.#speed.append(element('option', { value: speed }, `${speed}×`));
    this.#speed.addEventListener('change', () => player.setSpeed(Number(this.#speed.value)));
    this.#channel.addEventListener('change', () => player.select(this.#channel.value as Selection));
    this.#live.addEventListener('click', () => goLive(player));
    this.node = element(
      'div',
      { class: 'player-bar', role: 'group', 'aria-label': 'Player' },
      this.#play,
      this.#step(-10),
      this.#step(10),
      this.#time,
      this.#live,
      this.#status,
      element('label', { class: 'inline' }, element('span', {}, 'Hear'), this.#channel),
      element('label', { class: 'inline' }, element('span', {}, 'Speed'), this.#speed),
    );
  }

  /** What there is to choose from. */
  offer({ channels, lanes = [] }: Manifest, isLive: boolean): void {
    this.#live.hidden = !isLive;
    const roles = channels.map(({ role }) => role);
    const offered = [...roles, ...lanes.map(({ lane }) => lane)].join();
    if (this.#roles === offered) return;
    this.#roles = offered;
    const option = (value: Selection, text: string): HTMLElement => element('option', { value }, text);
    const each = roles.map((role, channel) => option(channel === 0 ? '0' : '1', `${role} only`));
    const all =
      roles.length < 2 ? [option('all', 'all')] : [option('all', 'left and right'), option('mix', 'mixed')];
    const alone = lanes.map((lane) => option(selectionOf(lane.lane), `${nameOf(lane)} only`));
    this.#channel.replaceChildren(...all, ...(roles.length < 2 ? [] : each), ...alone);
    this.#channel.value = this.#player.selection;
  }

  update(): void {
    const { isPlaying, isWaiting, position, duration, speed, selection } = this.#player;
    const label = isPlaying ? 'Pause' : 'Play';
    if (this.#play.getAttribute('aria-label') !== label) {
      this.#play.replaceChildren(icon(isPlaying ? 'pause' : 'play'));
      this.#play.setAttribute('aria-label', label);
    }
    this.#play.title = 'Space';
    this.#time.textContent = `${formatTime(position, 1)} / ${formatTime(duration)}`;
    const status = isWaiting ? 'at the end of what there is; goes on with the call' : '';
    if (this.#status.textContent !== status) this.#status.textContent = status;
    this.#speed.value = String(speed);
    this.#channel.value = selection;
    this.#play.disabled = duration === 0;
  }

  #step(seconds: number): HTMLElement {
    const text = seconds < 0 ? `−${-seconds} s` : `+${seconds} s`;
    const title = `${Math.abs(seconds)} seconds ${seconds < 0 ? 'back (J)' : 'forward (L)'}`;
    const step = (): void => this.#player.seek(this.#player.position + seconds);
    return element('button', { type: 'button', title, click: step }, text);
  }
}

/** To where a running call is, less what it takes to play on without a pause. */
export function goLive(player: Player): void {
  player.seek(player.duration - 2);
  if (!player.isPlaying) player.play();
}
