import { writeAddress } from './Address.js';
import type { StuckUpload, SystemDocument } from './documents.js';
import { element } from './element.js';
import { formatBytes } from './formatBytes.js';
import { formatDate } from './formatDate.js';
import { roughTime } from './formatTime.js';
import { milliseconds } from './milliseconds.js';
import { wordsOf } from './Notices.js';
import type { PageContext } from './Page.js';
import { Poll } from './Poll.js';
import type { View } from './View.js';

const readMs = 2000;

type Fact = readonly [name: string, value: Node | string];

/** How the daemon is, for administrators: what is wrong, what is stuck and why, and how near to its limits it is. */
export class SystemView implements View {
  readonly title = 'System';
  readonly node: HTMLElement;
  readonly #context: PageContext;
  readonly #fault = element('p', { class: 'fault', role: 'alert' });
  readonly #alerts = element('ul', { class: 'alerts' });
  readonly #stuck = element('tbody');
  readonly #stuckCount = element('span', { class: 'count' });
  readonly #stuckTable: HTMLElement;
  readonly #noneStuck = element(
    'p',
    { class: 'muted' },
    'Nothing: whatever is recorded gets into its store.',
  );
  readonly #cards = element('div', { class: 'cards' });
  readonly #poll: Poll;
  #drawn = '';

  constructor(context: PageContext) {
    this.#context = context;
    const heads = ['Of', 'Why', 'Since', 'Tries', 'Next'].map((text) =>
      element('th', { scope: 'col' }, text),
    );
    this.#stuckTable = element(
      'table',
      { class: 'stuck' },
      element('caption', { class: 'unseen' }, 'Uploads that are stuck'),
      element('thead', {}, element('tr', {}, ...heads)),
      this.#stuck,
    );
    this.node = element(
      'section',
      {},
      element('div', { class: 'heading' }, element('h1', {}, 'System')),
      this.#fault,
      this.#alerts,
      element(
        'section',
        { class: 'card' },
        element('h2', {}, 'Stuck on the way to a store ', this.#stuckCount),
        this.#noneStuck,
        this.#stuckTable,
      ),
      this.#cards,
    );
    this.#poll = new Poll(
      () => this.#read(),
      () => readMs,
    );
  }

  start(): void {
    this.#poll.start();
  }

  stop(): void {
    this.#poll.stop();
  }

  async #read(): Promise<void> {
    try {
      this.#show(await this.#context.api.system());
      this.#fault.textContent = '';
    } catch (error) {
      this.#fault.textContent = wordsOf(error);
    }
  }

  #show(system: SystemDocument): void {
    this.#cards.replaceChildren(...cardsOf(system));
    const { alerts, uploads } = system;
    const drawn = JSON.stringify([alerts, uploads.stuck]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#alerts.replaceChildren(
      ...alerts.map(({ about, code, message, since }) =>
        element(
          'li',
          { class: 'card alert' },
          element('strong', {}, `${about}: ${code}`),
          element('p', {}, message),
          element('p', { class: 'hint' }, `since ${formatDate(since)}`),
        ),
      ),
    );
    this.#stuckCount.textContent = String(uploads.stuckCount);
    this.#noneStuck.hidden = uploads.stuck.length > 0;
    this.#stuckTable.hidden = uploads.stuck.length === 0;
    this.#stuck.replaceChildren(...uploads.stuck.map(stuckRow));
  }
}

function stuckRow({
  accountId,
  recordingId,
  callId,
  code,
  message,
  since,
  tries,
  nextTry,
}: StuckUpload): HTMLElement {
  const about =
    recordingId === null
      ? element('span', {}, 'account ', element('span', { class: 'id' }, accountId))
      : element(
          'a',
          { href: writeAddress({ place: 'recording', id: recordingId }), class: 'id' },
          callId ?? recordingId,
        );
  const cell = (name: string, ...children: readonly (Node | string)[]): HTMLElement =>
    element('td', { 'data-head': name }, ...children);
  return element(
    'tr',
    {},
    element('th', { scope: 'row' }, about),
    cell('Why', element('strong', {}, code), element('span', { class: 'hint' }, message)),
    cell('Since', formatDate(since, 'short')),
    cell('Tries', String(tries)),
    cell('Next', nextTry === null ? 'when it is mended' : formatDate(nextTry, 'short')),
  );
}

function cardsOf({
  threads,
  calls,
  latency,
  spool,
  catalogue,
  uploads,
  ...rest
}: SystemDocument): HTMLElement[] {
  const overload = ['taken and recorded', 'taken, not recorded', 'refused'][calls.overloadLevel] ?? '';
  const relay = latency.relay.map(({ direction, p50Ms, p99Ms }): Fact => {
    const value = p99Ms === 0 ? 'no frames' : `p50 ${milliseconds(p50Ms)}, p99 ${milliseconds(p99Ms)}`;
    return [direction === 'to_bot' ? 'To the bot' : 'To the caller', value];
  });
  const used = spool.bytes / Math.max(1, spool.bytes + spool.freeBytes);
  const oldest = spool.oldestUnstoredSeconds;
  return [
    card(
      'Threads',
      (['media', 'recorder', 'control'] as const).map((name): Fact => [name, threadBadge(threads[name])]),
    ),
    card('Calls', [
      ['Up', String(calls.live)],
      ['Since the start', String(calls.sinceStart)],
      ['New ones are', overload],
      ['Records dropped', String(calls.droppedRecords)],
    ]),
    card('Latency, added by reelay', [
      ...relay,
      ...latency.loops
        .filter(({ p99Ms }) => p99Ms > 0)
        .map(({ thread, p99Ms }): Fact => [`${thread} comes late by`, `p99 ${milliseconds(p99Ms)}`]),
    ]),
    card('Spool', [
      ['Full', fillMeter(used)],
      ['Holds', formatBytes(spool.bytes)],
      ['Room for', formatBytes(spool.freeBytes)],
      ['Lasts', spool.secondsLeft === null ? 'no calls' : roughTime(spool.secondsLeft)],
      ['Not stored', `${spool.unstoredRecordings} recordings`],
      ['Oldest waits', oldest === null ? 'none' : roughTime(oldest)],
    ]),
    card('Uploads, since the control thread began', [
      ['Chunks', String(uploads.storedChunks)],
      ['Bytes', formatBytes(uploads.storedBytes)],
      ['Retries', String(uploads.retries)],
    ]),
    card('Catalogue', [
      ['State', threadBadge(catalogue.isUp ? 'ready' : 'away')],
      ['Waiting to be written', String(catalogue.waitingEntries)],
    ]),
    card('Process', [
      ['Version', rest.version],
      ['Started', formatDate(rest.startTime)],
      ['Memory', formatBytes(rest.process.residentBytes)],
      ['CPU time', roughTime(rest.process.cpuSeconds)],
    ]),
  ];
}

function card(title: string, facts: readonly Fact[]): HTMLElement {
  const rows = facts.map(([name, value]) =>
    element('div', {}, element('dt', {}, name), element('dd', {}, value)),
  );
  return element(
    'section',
    { class: 'card' },
    element('h2', {}, title),
    element('dl', { class: 'facts rows' }, ...rows),
  );
}

function threadBadge(state: string): HTMLElement {
  return element('span', { class: `badge ${state === 'ready' ? 'complete' : 'failed'}` }, state);
}

/** @param share - 0 to 1 */
function fillMeter(share: number): HTMLElement {
  const percent = Math.round(share * 1000) / 10;
  const meter = element('meter', {
    min: 0,
    max: 1,
    high: 0.8,
    optimum: 0,
    value: share,
    'aria-label': 'The spool is full to',
  });
  return element('span', { class: 'fill' }, meter, ` ${percent} %`);
}
