import { type Address, writeAddress } from './Address.js';
import { ApiError } from './Api.js';
import type { Hold, LiveCall, Manifest, WaveformDocument } from './documents.js';
import { Downloads } from './Downloads.js';
import { element } from './element.js';
import { FineWaveform } from './FineWaveform.js';
import { ItemTable } from './ItemTable.js';
import { LaneTable } from './LaneTable.js';
import { wordsOf } from './Notices.js';
import type { PageContext } from './Page.js';
import { Player } from './Player.js';
import { PlayerBar } from './PlayerBar.js';
import { PlayerKeys } from './PlayerKeys.js';
import { Poll } from './Poll.js';
import { RecordingDeeds } from './RecordingDeeds.js';
import { RecordingHead } from './RecordingHead.js';
import { type TimelineItem, timelineItems } from './timelineItems.js';
import type { View } from './View.js';
import { Waveform } from './Waveform.js';

/** How often a recording is asked for, ms: while its call is up, and while it is on its way to its store. */
const liveMs = 1500;
const storingMs = 4000;
/** One that won't change by itself. */
const restingMs = 60_000;

/** One recording: what is known of it, and the player. */
export class RecordingView implements View {
  readonly title = 'Recording';
  readonly node: HTMLElement;
  readonly #context: PageContext;
  readonly #id: string;
  readonly #head: RecordingHead;
  readonly #player: Player;
  readonly #bar: PlayerBar;
  readonly #waveform: Waveform;
  readonly #fine: FineWaveform;
  readonly #table: ItemTable;
  readonly #lanes: LaneTable;
  readonly #downloads = new Downloads();
  readonly #deeds: RecordingDeeds;
  readonly #keys: PlayerKeys;
  readonly #fault = element('p', { class: 'fault', role: 'alert' });
  readonly #panel: HTMLElement;
  readonly #poll: Poll;
  #manifest: Manifest | null = null;
  #document: WaveformDocument | null = null;
  #hold: Hold | null = null;
  #items: readonly TimelineItem[] = [];
  #frame = 0;
  #isOver = false;

  constructor(context: PageContext, { id, query }: Address) {
    this.#context = context;
    this.#id = id;
    this.#head = new RecordingHead(context);
    this.#player = new Player(context.api, id, {
      changed: () => this.#update(),
      failed: (error) => context.notices.fail(error),
    });
    this.#bar = new PlayerBar(this.#player);
    this.#fine = new FineWaveform(context.api, id, () => this.#draw());
    this.#waveform = new Waveform({
      seeked: (seconds) => this.#player.seek(seconds),
      zoomed: (samplesPerPixel) => this.#fine.want(samplesPerPixel, this.#document),
    });
    this.#table = new ItemTable((seconds) => this.#player.seek(seconds));
    this.#lanes = new LaneTable((selection) => this.#player.select(selection));
    this.#deeds = new RecordingDeeds(
      context,
      id,
      () => this.#poll.now(),
      () => (location.hash = writeAddress({ place: 'recordings' })),
    );
    this.#keys = new PlayerKeys(this.#player, this.#waveform, (by) => this.#jump(by));
    this.#panel = this.#makePanel();
    this.node = element('section', { class: 'recording' }, this.#head.node, this.#fault, this.#panel);
    this.#panel.hidden = true;
    this.#poll = new Poll(
      () => this.#read(),
      () => this.#pauseMs,
    );
    const at = Number(query.get('t'));
    if (at > 0) this.#player.seek(at);
  }

  start(): void {
    this.#poll.start();
    this.#waveform.start();
    this.#keys.start();
    this.#update();
  }

  stop(): void {
    this.#isOver = true;
    this.#poll.stop();
    this.#player.stop();
    this.#waveform.stop();
    this.#keys.stop();
    cancelAnimationFrame(this.#frame);
  }

  moved({ place, id, query }: Address): boolean {
    if (place !== 'recording' || id !== this.#id) return false;
    if (query.has('t')) this.#player.seek(Number(query.get('t')));
    return true;
  }

  get #isLive(): boolean {
    return this.#manifest === null || this.#manifest.state === 'recording';
  }

  get #pauseMs(): number {
    if (this.#isLive) return liveMs;
    return this.#manifest?.state === 'uploading' ? storingMs : restingMs;
  }

  #makePanel(): HTMLElement {
    const button = (text: string, label: string, title: string, click: () => void): HTMLElement =>
      element('button', { type: 'button', 'aria-label': label, title, click }, text);
    const zoom = element(
      'div',
      { class: 'zoom', role: 'group', 'aria-label': 'Zoom' },
      button('−', 'Zoom out', 'X', () => this.#waveform.zoom(-1)),
      button('+', 'Zoom in', 'Z', () => this.#waveform.zoom(1)),
      button('All', 'Show all of it', 'F', () => this.#waveform.showAll()),
    );
    return element(
      'div',
      {},
      element(
        'section',
        { class: 'card player', 'aria-label': 'Player' },
        this.#waveform.node,
        element('div', { class: 'under' }, this.#bar.node, zoom),
        this.#player.audio,
      ),
      element(
        'div',
        { class: 'columns' },
        element('div', {}, this.#lanes.node, this.#table.node),
        element('div', {}, this.#downloads.node, this.#deeds.node),
      ),
    );
  }

  async #read(): Promise<void> {
    const { api } = this.#context;
    try {
      this.#fault.textContent = '';
      const [manifest, calls] = await Promise.all([api.manifest(this.#id), this.#isLive ? api.calls() : []]);
      const whole = manifest === null ? null : await this.#readWaveform(manifest);
      if (this.#isOver) return;
      [this.#manifest, this.#document] = [manifest, whole];
      const call = calls.find(({ recordingId }) => recordingId === this.#id);
      this.#show(manifest, call);
      if (manifest === null) return;
      this.#deeds.show({ manifest, call, hold: this.#hold });
      // It is asked of the store, which may be slow, or away.
      void this.#readHold(manifest);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Of one that nobody may delete, or can yet, nobody need ask. */
  async #readHold(manifest: Manifest): Promise<void> {
    const isStored = manifest.state === 'complete' || manifest.state === 'interrupted';
    if (!isStored || !this.#context.session.scopes.includes('delete')) return;
    try {
      this.#hold = await this.#context.api.hold(this.#id);
      this.#deeds.show({ manifest, call: undefined, hold: this.#hold });
    } catch (error) {
      this.#context.notices.fail(error);
    }
  }

  /** What is known beside the audio is shown also where that can't be read. */
  async #readWaveform({ state, chunks }: Manifest): Promise<WaveformDocument | null> {
    if (state === 'failed' && chunks.length === 0) return null;
    try {
      return await this.#context.api.waveform(this.#id);
    } catch (error) {
      this.#fault.textContent = wordsOf(error);
      return this.#document;
    }
  }

  #show(manifest: Manifest | null, call: LiveCall | undefined): void {
    this.#head.show(manifest, call);
    if (manifest === null) return;
    document.title = `${this.#head.text} – reelay`;
    this.#items = timelineItems(manifest);
    this.#panel.hidden = false;
    const samples = this.#document?.samples ?? 0;
    const isLive = manifest.state === 'recording';
    const { sampleRate, channels } = manifest;
    this.#player.extend({ samples, sampleRate, channels: channels.length, isLive });
    this.#bar.offer(manifest, isLive);
    this.#lanes.show(manifest);
    this.#table.show(this.#items, sampleRate);
    this.#draw();
    this.#update();
  }

  #draw(): void {
    const [manifest, whole] = [this.#manifest, this.#document];
    if (manifest === null) return;
    this.#waveform.show({
      samples: whole?.samples ?? 0,
      sampleRate: manifest.sampleRate,
      channels: manifest.channels,
      levels: whole === null ? [] : this.#fine.with(whole.levels),
      items: this.#items,
    });
  }

  #update(): void {
    this.#bar.update();
    this.#waveform.setPosition(this.#player.position, this.#player.isPlaying);
    if (this.#manifest !== null)
      this.#downloads.show(this.#manifest, this.#document?.samples ?? 0, this.#player.selection);
    // The element tells four times a second where it is; a line that moves wants more.
    cancelAnimationFrame(this.#frame);
    if (this.#player.isPlaying) this.#frame = requestAnimationFrame(() => this.#follow());
  }

  #follow(): void {
    this.#waveform.setPosition(this.#player.position, true);
    this.#frame = requestAnimationFrame(() => this.#follow());
  }

  #jump(by: 1 | -1): void {
    const sampleRate = this.#manifest?.sampleRate ?? 8000;
    const at = this.#player.position * sampleRate;
    // Whoever goes back while it plays is a moment behind what they came from.
    const slack = sampleRate / 2;
    const next =
      by > 0
        ? this.#items.find(({ sample }) => sample > at + 1)
        : this.#items.findLast(({ sample }) => sample < at - slack);
    if (next !== undefined) this.#player.seek(next.sample / sampleRate);
  }

  #fail(error: unknown): void {
    this.#fault.textContent = wordsOf(error);
    const isGone = error instanceof ApiError && (error.status === 404 || error.status === 410);
    if (!isGone) return;
    this.#panel.hidden = true;
    this.#poll.stop();
  }
}
