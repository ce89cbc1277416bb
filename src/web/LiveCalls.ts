import type { LiveCall, SystemDocument } from './documents.js';
import { element } from './element.js';
import { LiveCallCard } from './LiveCallCard.js';
import { milliseconds } from './milliseconds.js';
import { wordsOf } from './Notices.js';
import type { PageContext } from './Page.js';
import { Poll } from './Poll.js';
import type { View } from './View.js';

/** As often as the recorder tells how far it is, ms. */
const callsMs = 500;
const latencyMs = 2000;

/** Calls that are up, how loud each party is, and what reelay adds to them. */
export class LiveCalls implements View {
  readonly title = 'Live calls';
  readonly node: HTMLElement;
  readonly #context: PageContext;
  readonly #cards = new Map<string, LiveCallCard>();
  readonly #count = element('span', { class: 'count' });
  readonly #latency = element('p', { class: 'latency muted' });
  readonly #fault = element('p', { class: 'fault', role: 'alert' });
  readonly #empty = element(
    'div',
    { class: 'empty', hidden: true },
    'No call is up. One that begins appears here by itself.',
  );
  readonly #list = element('ul', { class: 'calls' });
  readonly #calls: Poll;
  readonly #system: Poll;
  readonly #isStill = window.matchMedia('(prefers-reduced-motion: reduce)');
  #frame = 0;
  #movedMs = 0;

  constructor(context: PageContext) {
    this.#context = context;
    this.node = element(
      'section',
      {},
      element('div', { class: 'heading' }, element('h1', {}, 'Live calls ', this.#count), this.#latency),
      this.#fault,
      this.#empty,
      this.#list,
    );
    this.#calls = new Poll(
      () => this.#readCalls(),
      () => callsMs,
    );
    this.#system = new Poll(
      () => this.#readLatency(),
      () => latencyMs,
    );
  }

  start(): void {
    this.#calls.start();
    if (this.#context.session.isAdmin) this.#system.start();
    this.#frame = requestAnimationFrame((nowMs) => this.#move(nowMs));
  }

  stop(): void {
    this.#calls.stop();
    this.#system.stop();
    cancelAnimationFrame(this.#frame);
  }

  async #readCalls(): Promise<void> {
    try {
      this.#show(await this.#context.api.calls());
      this.#fault.textContent = '';
    } catch (error) {
      this.#fault.textContent = wordsOf(error);
    }
  }

  #show(calls: readonly LiveCall[]): void {
    this.#count.textContent = String(calls.length);
    this.#empty.hidden = calls.length > 0;
    const up = new Set<string>();
    for (const call of calls) {
      const name = `${call.accountId} ${call.provider} ${call.callId}`;
      up.add(name);
      let card = this.#cards.get(name);
      if (card === undefined) {
        card = new LiveCallCard(this.#context);
        this.#cards.set(name, card);
        this.#list.prepend(card.node);
      }
      card.show(call);
    }
    for (const [name, card] of this.#cards) {
      if (up.has(name)) continue;
      card.node.remove();
      this.#cards.delete(name);
    }
  }

  async #readLatency(): Promise<void> {
    try {
      this.#latency.textContent = saidOf(await this.#context.api.system());
    } catch {
      this.#latency.textContent = '';
    }
  }

  /** All meters in one frame. Who asks for less motion sees them change with each answer, and not in between. */
  #move(nowMs: number): void {
    const elapsedMs = this.#isStill.matches ? Infinity : nowMs - this.#movedMs;
    this.#movedMs = nowMs;
    for (const card of this.#cards.values()) card.move(elapsedMs);
    this.#frame = requestAnimationFrame((laterMs) => this.#move(laterMs));
  }
}

function saidOf({ latency }: SystemDocument): string {
  const said = latency.relay
    .filter(({ p99Ms }) => p99Ms > 0)
    .map(({ direction, p50Ms, p99Ms }) => {
      const to = direction === 'to_bot' ? 'to the bot' : 'to the caller';
      return `${to} ${milliseconds(p50Ms)} (p99 ${milliseconds(p99Ms)})`;
    });
  return said.length === 0 ? '' : `reelay adds, p50: ${said.join(', ')}`;
}
