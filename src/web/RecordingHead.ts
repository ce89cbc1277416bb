import type { LiveCall, Manifest, StuckUpload } from './documents.js';
import { element } from './element.js';
import { explain } from './explain.js';
import { formatDate } from './formatDate.js';
import { formatTime } from './formatTime.js';
import type { PageContext } from './Page.js';
import { parties } from './parties.js';
import { stateBadge } from './stateBadge.js';

/** Parameters of the call that are shown; the manifest has them all. */
const mostParameters = 20;

/** What is known of a recording beside its audio. */
export class RecordingHead {
  readonly node: HTMLElement;
  readonly #context: PageContext;
  readonly #title = element('h1', {}, 'Recording');
  readonly #badges = element('div', { class: 'badges' });
  readonly #why = element('p', { class: 'why', role: 'status' });
  readonly #facts = element('dl', { class: 'facts' });
  #drawn = '';

  constructor(context: PageContext) {
    this.#context = context;
    this.node = element(
      'div',
      { class: 'recording-head' },
      element('div', { class: 'heading' }, this.#title, this.#badges),
      this.#why,
      this.#facts,
    );
  }

  get text(): string {
    return this.#title.textContent;
  }

  /** @param manifest - null while the recorder has not begun */
  show(manifest: Manifest | null, call: LiveCall | undefined): void {
    if (manifest?.state === 'uploading' || manifest?.state === 'failed') void this.#sayStuck(manifest);
    const drawn = JSON.stringify([manifest?.state, manifest?.reason, manifest?.samples, call?.recording]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    if (manifest === null) {
      this.#why.textContent = 'Its call has just begun; there is nothing of it yet.';
      return;
    }
    this.#title.textContent = manifest.room?.name ?? parties(manifest);
    const { state, reason } = manifest;
    const badges = [stateBadge(state)];
    if (call !== undefined && call.recording !== 'running')
      badges.push(element('span', { class: `badge ${call.recording}` }, explain.recording(call.recording)));
    this.#badges.replaceChildren(...badges);
    this.#facts.replaceChildren(...factsOf(manifest));
    this.#why.textContent = reason === null ? '' : sentence(explain.reason(reason));
  }

  /** An administrator is told why it doesn't get into its store. */
  async #sayStuck({ recordingId, accountId }: Manifest): Promise<void> {
    if (!this.#context.session.isAdmin) return;
    const system = await this.#context.api.system().catch(() => undefined);
    const stuck = system?.uploads.stuck.find((each) => isAbout(each, recordingId, accountId));
    if (stuck !== undefined) this.#why.textContent = `${stuck.code}: ${stuck.message}`;
  }
}

function isAbout(stuck: StuckUpload, recordingId: string, accountId: string): boolean {
  return stuck.recordingId === null ? stuck.accountId === accountId : stuck.recordingId === recordingId;
}

function factsOf(manifest: Manifest): HTMLElement[] {
  const { startTime, endTime, durationSeconds, provider, accountId, callId, recordingId } = manifest;
  const facts: (readonly [string, string])[] = [['Began', formatDate(startTime)]];
  if (endTime !== null) facts.push(['Length', formatTime(durationSeconds, 1)]);
  if (endTime !== null) facts.push(['Completeness', completenessOf(manifest)]);
  facts.push(['Provider', `${provider}, ${manifest.sampleRate / 1000} kHz`]);
  facts.push(['Account', accountId], ['Call', callId], ['Recording', recordingId]);
  // What is in the heading need not be said twice.
  const parameters = Object.entries(manifest.parameters).filter(
    ([name, value]) => !((name === 'from' || name === 'to') && value === manifest[name]),
  );
  for (const [name, value] of parameters.slice(0, mostParameters))
    if (typeof value === 'string' || typeof value === 'number') facts.push([name, String(value)]);
  return facts.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value)));
}

/** Cut, not rounded: what isn't whole must not look so. */
function completenessOf({ completeness, channels }: Manifest): string {
  const said = completeness.map(
    (share, channel) => `${Math.floor(share * 10_000) / 100} % ${channels[channel]?.role ?? ''}`,
  );
  return said.join(', ');
}

function sentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}
