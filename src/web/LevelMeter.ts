import { element } from './element.js';

/** What the meter begins at, dB of full scale. */
const floorDb = -60;
/** How fast it falls, dB a second; it rises at once. */
const fallDb = 40;

/** How loud one party is. Eyes see it move, ears may ask for it. */
export class LevelMeter {
  readonly node: HTMLElement;
  readonly #bar = element('span', { class: 'bar' });
  #db = floorDb;
  #shownDb = floorDb;
  #saidDb = Number.NaN;

  /** @param name - of the party. @param channel - 0 or 1, for its colour */
  constructor(name: string, channel: number) {
    this.node = element(
      'span',
      {
        class: `meter channel-${channel}`,
        role: 'meter',
        'aria-label': `Level of the ${name}`,
        'aria-valuemin': floorDb,
        'aria-valuemax': 0,
      },
      this.#bar,
    );
    this.level(0);
    this.move(0);
  }

  /** @param peak - loudest sample of late, 0 to 32768 */
  level(peak: number): void {
    this.#db = decibels(peak);
    const said = Math.round(this.#db);
    if (said === this.#saidDb) return;
    this.#saidDb = said;
    this.node.setAttribute('aria-valuenow', String(said));
    this.node.setAttribute('aria-valuetext', said <= floorDb ? 'silent' : `${said} dB`);
  }

  /** @param elapsedMs - since the last move; Infinity: the bar jumps */
  move(elapsedMs: number): void {
    const fallen = this.#shownDb - (fallDb * elapsedMs) / 1000;
    this.#shownDb = Math.max(this.#db, fallen, floorDb);
    this.#bar.style.transform = `scaleX(${((this.#shownDb - floorDb) / -floorDb).toFixed(3)})`;
  }
}

/** @returns dB of full scale, at least the meter's floor */
export function decibels(peak: number): number {
  return peak <= 0 ? floorDb : Math.max(floorDb, 20 * Math.log10(peak / 32_768));
}
