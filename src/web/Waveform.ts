import type { Manifest, WaveformLevel } from './documents.js';
import { element } from './element.js';
import { formatTime, spokenTime } from './formatTime.js';
import type { TimelineItem } from './timelineItems.js';
import { TimeWindow } from './TimeWindow.js';
import { drawOverview, drawPicture, pictureHeight, type Picture } from './WaveformDrawing.js';

/** What the waveform shows; positions are samples. */
export interface WaveformContent {
  readonly samples: number;
  readonly sampleRate: number;
  readonly channels: Manifest['channels'];
  readonly levels: readonly WaveformLevel[];
  readonly items: readonly TimelineItem[];
}

export interface WaveformListeners {
  /** Somebody points to a time, s. */
  readonly seeked: (seconds: number) => void;
  /** So many samples are one pixel now. */
  readonly zoomed: (samplesPerPixel: number) => void;
}

/** An item counts as pointed at so many pixels away. */
const reachPixels = 6;
const zoomStep = 2;

/** Both parties' audio over time, with gaps and events; it says where the player is, and is where one points to go elsewhere. */
export class Waveform {
  readonly node: HTMLElement;
  readonly #to: WaveformListeners;
  readonly #canvas = element('canvas', { 'aria-hidden': 'true' });
  readonly #overview = element('canvas', { class: 'overview', 'aria-hidden': 'true', hidden: true });
  readonly #playhead = element('span', { class: 'playhead' });
  readonly #pointed = element('span', { class: 'pointed', hidden: true });
  readonly #names = element('span', { class: 'names', 'aria-hidden': 'true' });
  readonly #stage: HTMLElement;
  readonly #colours = window.matchMedia('(prefers-color-scheme: dark)');
  readonly #resized = new ResizeObserver(() => this.#draw());
  #content: WaveformContent = { samples: 0, sampleRate: 8000, channels: [], levels: [], items: [] };
  #window = new TimeWindow(0);
  #position = 0;
  #said = '';
  #drawing = 0;

  constructor(listeners: WaveformListeners) {
    this.#to = listeners;
    this.#stage = element(
      'div',
      {
        class: 'stage',
        role: 'slider',
        tabindex: 0,
        'aria-label': 'Position in the recording',
        'aria-valuemin': 0,
        'aria-orientation': 'horizontal',
      },
      this.#canvas,
      this.#names,
      this.#playhead,
      this.#pointed,
    );
    this.node = element('div', { class: 'waveform' }, this.#stage, this.#overview);
    this.#listen();
  }

  start(): void {
    this.#resized.observe(this.#stage);
    this.#colours.addEventListener('change', this.#redraw);
  }

  stop(): void {
    this.#resized.disconnect();
    this.#colours.removeEventListener('change', this.#redraw);
    cancelAnimationFrame(this.#drawing);
  }

  show(content: WaveformContent): void {
    const roles = content.channels.map(({ role }) => role).join(' ');
    if (roles !== this.#content.channels.map(({ role }) => role).join(' '))
      this.#names.replaceChildren(...content.channels.map(({ role }) => element('span', {}, role)));
    this.#content = content;
    this.#window =
      this.#window.total === 0 ? new TimeWindow(content.samples) : this.#window.grown(content.samples);
    const seconds = content.samples / content.sampleRate;
    this.#stage.setAttribute('aria-valuemax', seconds.toFixed(1));
    this.#canvas.style.height = `${pictureHeight(content.channels.length)}px`;
    this.#draw();
  }

  /** @param isFollowed - the window moves on with it */
  setPosition(seconds: number, isFollowed: boolean): void {
    this.#position = seconds * this.#content.sampleRate;
    const moved = isFollowed ? this.#window.including(this.#position) : this.#window;
    if (moved !== this.#window) this.#look(moved);
    this.#placePlayhead();
    const said = `${spokenTime(seconds)} of ${spokenTime(this.#content.samples / this.#content.sampleRate)}`;
    if (said === this.#said) return;
    this.#said = said;
    this.#stage.setAttribute('aria-valuenow', seconds.toFixed(1));
    this.#stage.setAttribute('aria-valuetext', said);
  }

  /** @param steps - above 0: closer */
  zoom(steps: number): void {
    const isSeen = this.#position >= this.#window.from && this.#position <= this.#window.to;
    const middle = (this.#window.from + this.#window.to) / 2;
    this.#look(this.#window.zoomed(zoomStep ** steps, isSeen ? this.#position : middle));
  }

  showAll(): void {
    this.#look(new TimeWindow(this.#content.samples));
  }

  get isZoomed(): boolean {
    return !this.#window.isWhole;
  }

  readonly #redraw = (): void => this.#draw();

  #look(part: TimeWindow): void {
    this.#window = part;
    this.#draw();
    this.#to.zoomed(part.length / Math.max(1, this.#canvas.clientWidth));
  }

  #draw(): void {
    cancelAnimationFrame(this.#drawing);
    this.#drawing = requestAnimationFrame(() => {
      const picture: Picture = { ...this.#content, window: this.#window };
      drawPicture(this.#canvas, picture);
      this.#overview.hidden = this.#window.isWhole;
      if (!this.#window.isWhole) drawOverview(this.#overview, picture);
      this.#placePlayhead();
    });
  }

  #placePlayhead(): void {
    const width = this.#canvas.clientWidth;
    const x = this.#window.xOf(this.#position, width);
    this.#playhead.hidden = this.#content.samples === 0 || x < 0 || x > width;
    this.#playhead.style.transform = `translateX(${x.toFixed(1)}px)`;
  }

  #listen(): void {
    const stage = this.#stage;
    stage.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      stage.setPointerCapture(event.pointerId);
      this.#seek(event);
    });
    stage.addEventListener('pointermove', (event) => {
      this.#point(event);
      if (stage.hasPointerCapture(event.pointerId)) this.#seek(event);
    });
    stage.addEventListener('pointerleave', () => (this.#pointed.hidden = true));
    stage.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    this.#overview.addEventListener('pointerdown', (event) => {
      this.#overview.setPointerCapture(event.pointerId);
      this.#centre(event);
    });
    this.#overview.addEventListener('pointermove', (event) => {
      if (this.#overview.hasPointerCapture(event.pointerId)) this.#centre(event);
    });
  }

  #sampleAt(event: MouseEvent): number {
    return this.#window.sampleAt(
      event.clientX - this.#stage.getBoundingClientRect().left,
      this.#stage.clientWidth,
    );
  }

  #seek(event: MouseEvent): void {
    this.#to.seeked(this.#sampleAt(event) / this.#content.sampleRate);
  }

  #centre(event: MouseEvent): void {
    const { left, width } = this.#overview.getBoundingClientRect();
    const sample = ((event.clientX - left) / width) * this.#content.samples;
    this.#look(this.#window.moved(sample - (this.#window.from + this.#window.to) / 2));
  }

  /** Two fingers sideways move, with Ctrl (as a pinch comes, too) they zoom; up and down stays the page's. */
  #wheel(event: WheelEvent): void {
    const isAside = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (!event.ctrlKey && (!isAside || this.#window.isWhole)) return;
    event.preventDefault();
    if (event.ctrlKey) return this.#look(this.#window.zoomed(1.0015 ** -event.deltaY, this.#sampleAt(event)));
    const pixels = event.deltaX === 0 ? event.deltaY : event.deltaX;
    this.#look(this.#window.moved((pixels / this.#stage.clientWidth) * this.#window.length));
  }

  /** Says what is under the pointer. */
  #point(event: PointerEvent): void {
    const { sampleRate, items } = this.#content;
    const width = this.#stage.clientWidth;
    const x = event.clientX - this.#stage.getBoundingClientRect().left;
    const near = items.filter((item) => {
      const [from, to] = [
        this.#window.xOf(item.sample, width),
        this.#window.xOf(item.sample + item.samples, width),
      ];
      return x >= from - reachPixels && x <= to + reachPixels && item.kind !== 'stream';
    });
    const said = near.slice(0, 3).map(({ label, detail }) => (detail === '' ? label : `${label}: ${detail}`));
    const time = formatTime(this.#window.sampleAt(x, width) / sampleRate, 2);
    this.#pointed.textContent = [time, ...said].join('\n');
    this.#pointed.hidden = event.pointerType === 'touch';
    const isRight = x > width / 2;
    this.#pointed.style.transform = `translateX(${isRight ? `calc(${x - 8}px - 100%)` : `${x + 8}px`})`;
  }
}
