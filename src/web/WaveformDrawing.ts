import type { Manifest, WaveformLevel } from './documents.js';
import { foldPeaks, levelFor } from './foldPeaks.js';
import { formatTime } from './formatTime.js';
import type { TimelineItem } from './timelineItems.js';
import { TimeWindow } from './TimeWindow.js';

/** Heights in CSS pixels. */
const rulerHeight = 20;
const laneHeight = 20;
const channelHeight = 76;
/** A tick's time takes so much room. */
const tickWidth = 90;

/** What is drawn. */
export interface Picture {
  readonly window: TimeWindow;
  readonly sampleRate: number;
  readonly channels: Manifest['channels'];
  readonly levels: readonly WaveformLevel[];
  readonly items: readonly TimelineItem[];
}

/** How each kind of event is marked, beside its colour. */
const signs: Readonly<Partial<Record<TimelineItem['kind'], string>>> = {
  mark: 'M',
  clear: '✕',
  pause: '‖',
  dtmf: '#',
};

export function pictureHeight(channels: number): number {
  return rulerHeight + laneHeight + Math.max(1, channels) * channelHeight;
}

/** Draws a picture into a canvas that is as wide as it is shown, in the colours that its style names. */
export function drawPicture(canvas: HTMLCanvasElement, picture: Picture): void {
  const width = canvas.clientWidth;
  const height = pictureHeight(picture.channels.length);
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext('2d');
  if (context === null || width === 0) return;
  context.scale(scale, scale);
  const pen = new Pen(context, getComputedStyle(canvas), width, scale);
  pen.ruler(picture, height);
  picture.channels.forEach((_, channel) => pen.channel(picture, channel));
  for (const item of picture.items) if (item.kind === 'gap') pen.gap(picture, item);
  for (const item of picture.items) if (item.kind !== 'gap') pen.event(picture, item, height);
}

/** All of a recording in one strip, both channels in one, and the part of it that is looked at. */
export function drawOverview(canvas: HTMLCanvasElement, { window: part, levels, sampleRate }: Picture): void {
  const [width, height, scale] = [canvas.clientWidth, canvas.clientHeight, window.devicePixelRatio || 1];
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext('2d');
  if (context === null || width === 0 || sampleRate === 0) return;
  context.scale(scale, scale);
  const pen = new Pen(context, getComputedStyle(canvas), width, scale);
  const whole = new TimeWindow(part.total);
  const level = levelFor(levels, whole, width);
  level?.peaks.forEach((pairs, channel) =>
    pen.peaks(foldPeaks(pairs, level.samplesPerBin, whole, Math.round(width * scale)), channel, 0, height),
  );
  const [from, to] = [whole.xOf(part.from, width), whole.xOf(part.to, width)];
  context.fillStyle = pen.colour('--window');
  context.fillRect(from, 0, Math.max(2, to - from), height);
  context.strokeStyle = pen.colour('--accent');
  context.strokeRect(from + 0.5, 0.5, Math.max(2, to - from) - 1, height - 1);
}

class Pen {
  readonly #context: CanvasRenderingContext2D;
  readonly #style: CSSStyleDeclaration;
  readonly #width: number;
  readonly #scale: number;

  constructor(context: CanvasRenderingContext2D, style: CSSStyleDeclaration, width: number, scale: number) {
    this.#context = context;
    this.#style = style;
    this.#width = width;
    this.#scale = scale;
    context.font = `11px ${style.fontFamily}`;
    context.textBaseline = 'middle';
  }

  colour(name: string): string {
    return this.#style.getPropertyValue(name);
  }

  ruler({ window: part, sampleRate }: Picture, height: number): void {
    const context = this.#context;
    const { samples, stepSeconds } = part.ticks(sampleRate, Math.max(1, this.#width / tickWidth));
    for (const sample of samples) {
      const x = Math.round(part.xOf(sample, this.#width)) + 0.5;
      context.fillStyle = this.colour('--line');
      context.fillRect(x, rulerHeight - 5, 1, height - rulerHeight + 5);
      context.fillStyle = this.colour('--muted');
      const text = formatTime(sample / sampleRate, stepSeconds < 1 ? 1 : 0);
      const isLast = x + context.measureText(text).width + 4 > this.#width;
      context.textAlign = isLast ? 'right' : 'left';
      context.fillText(text, isLast ? x - 3 : x + 3, rulerHeight / 2);
    }
    context.textAlign = 'left';
  }

  channel({ window: part, levels }: Picture, channel: number): void {
    const top = channelTop(channel);
    this.#context.fillStyle = this.colour('--line');
    this.#context.fillRect(0, top + channelHeight / 2, this.#width, 1);
    const level = levelFor(levels, part, this.#width * this.#scale);
    const pairs = level?.peaks[channel];
    if (level === undefined || pairs === undefined) return;
    const columns = Math.round(this.#width * this.#scale);
    this.peaks(foldPeaks(pairs, level.samplesPerBin, part, columns), channel, top + 3, channelHeight - 6);
  }

  /** @param folded - a pair for each pixel of the device */
  peaks(folded: Float32Array, channel: number, top: number, height: number): void {
    const context = this.#context;
    context.fillStyle = this.colour(`--channel-${channel % 2}`);
    const middle = top + height / 2;
    for (let column = 0; column * 2 < folded.length; column++) {
      const [low = 0, high = 0] = [folded[column * 2], folded[column * 2 + 1]];
      if (low === 0 && high === 0) continue;
      const from = middle - high * (height / 2);
      context.fillRect(column / this.#scale, from, 1 / this.#scale, Math.max(1, (high - low) * (height / 2)));
    }
  }

  gap({ window: part, channels }: Picture, { sample, samples, channels: on }: TimelineItem): void {
    const context = this.#context;
    const from = part.xOf(sample, this.#width);
    const width = Math.max(2, part.xOf(sample + samples, this.#width) - from);
    if (from > this.#width || from + width < 0) return;
    for (const channel of on) {
      if (channel >= channels.length) continue;
      const top = channelTop(channel) + 1;
      context.save();
      context.beginPath();
      context.rect(from, top, width, channelHeight - 2);
      context.clip();
      context.fillStyle = this.colour('--gap-fill');
      context.fillRect(from, top, width, channelHeight - 2);
      this.#hatch(Math.max(0, from), Math.min(this.#width, from + width), top);
      context.restore();
      context.strokeStyle = this.colour('--gap');
      context.strokeRect(from + 0.5, top + 0.5, Math.max(1, width - 1), channelHeight - 3);
    }
  }

  #hatch(from: number, to: number, top: number): void {
    const context = this.#context;
    context.strokeStyle = this.colour('--gap');
    context.lineWidth = 1;
    context.beginPath();
    for (let x = from - channelHeight; x < to; x += 7) {
      context.moveTo(x, top + channelHeight);
      context.lineTo(x + channelHeight, top);
    }
    context.stroke();
  }

  event({ window: part }: Picture, { kind, sample, detail }: TimelineItem, height: number): void {
    const sign = signs[kind];
    const x = Math.round(part.xOf(sample, this.#width));
    if (sign === undefined || x < -8 || x > this.#width + 8) return;
    const context = this.#context;
    const colour = this.colour(`--event-${kind}`);
    context.fillStyle = colour;
    context.globalAlpha = 0.55;
    context.fillRect(x, rulerHeight + laneHeight - 2, 1, height);
    context.globalAlpha = 1;
    context.beginPath();
    context.roundRect(x - 7, rulerHeight + 2, 15, laneHeight - 4, 3);
    context.fill();
    context.fillStyle = this.colour('--surface');
    context.textAlign = 'center';
    context.fillText(
      kind === 'dtmf' ? detail.slice(0, 1) : sign,
      x + 0.5,
      rulerHeight + laneHeight / 2 + 0.5,
    );
    context.textAlign = 'left';
  }
}

function channelTop(channel: number): number {
  return rulerHeight + laneHeight + channel * channelHeight;
}
