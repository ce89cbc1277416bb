import { writeAddress } from './Address.js';
import type { LiveCall } from './documents.js';
import { element } from './element.js';
import { explain } from './explain.js';
import { formatTime } from './formatTime.js';
import { LevelMeter } from './LevelMeter.js';
import type { PageContext } from './Page.js';
import { parties } from './parties.js';

/** Names of the channels while it isn't known what they are. */
const roles = ['caller', 'bot'] as const;

/** One call that is up. */
export class LiveCallCard {
  readonly node = element('li', { class: 'card call' });
  readonly #context: PageContext;
  readonly #title = element('h2', {});
  readonly #about = element('p', { class: 'muted about' });
  readonly #time = element('span', { class: 'time' });
  readonly #recording = element('span', { class: 'badge' });
  readonly #bot = element('span', { class: 'badge' });
  readonly #meters = roles.map((role, channel) => new LevelMeter(role, channel));
  readonly #deeds = element('div', { class: 'deeds' });
  #drawn = '';

  constructor(context: PageContext) {
    this.#context = context;
    this.node.append(
      element('div', { class: 'call-head' }, this.#title, this.#time),
      this.#about,
      element('div', { class: 'badges' }, this.#recording, this.#bot),
      element(
        'div',
        { class: 'meters' },
        ...this.#meters.flatMap((meter, channel) => [
          element('span', { class: 'meter-name', 'aria-hidden': 'true' }, roles[channel] ?? ''),
          meter.node,
        ]),
      ),
      this.#deeds,
    );
  }

  show(call: LiveCall): void {
    this.#time.textContent = formatTime((Date.now() - Date.parse(call.startTime)) / 1000);
    this.#meters.forEach((meter, channel) => meter.level(call.peaks[channel] ?? 0));
    const { recording, upstream, recordingId, from, to, room } = call;
    // The rest changes rarely, and what is focused must not be made anew.
    const drawn = [recording, upstream, recordingId, from, to, JSON.stringify(room)].join(' ');
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#title.textContent = room?.name ?? parties(call);
    this.#about.textContent = [call.provider, call.accountId, call.callId, ...(room?.lanes ?? [])].join(
      ' · ',
    );
    this.#recording.textContent = explain.recording(recording);
    this.#recording.className = `badge ${recording}`;
    this.#bot.textContent = room === undefined ? explain.upstream(upstream) : explain.presence(room.presence);
    this.#bot.className = `badge upstream-${upstream}`;
    this.#deeds.replaceChildren(...this.#deedsFor(call));
  }

  /** @param elapsedMs - since the last time */
  move(elapsedMs: number): void {
    for (const meter of this.#meters) meter.move(elapsedMs);
  }

  #deedsFor(call: LiveCall): HTMLElement[] {
    const { api, session } = this.#context;
    const { recordingId: id, recording } = call;
    const deeds: HTMLElement[] = [];
    if (id !== null) {
      const href = writeAddress({ place: 'recording', id });
      deeds.push(element('a', { class: 'button primary', href }, 'Listen'));
    }
    if (!session.scopes.includes('control')) return deeds;
    const deed = (text: string, done: () => Promise<void>): void => {
      deeds.push(element('button', { type: 'button', click: () => void this.#do(done) }, text));
    };
    if (recording === 'awaited') deed('Record', () => api.startRecording(call.callId, call.accountId));
    if (id !== null && recording === 'running') deed('Pause recording', () => api.pause(id, 'silence'));
    if (id !== null && recording === 'paused') deed('Resume recording', () => api.steer(id, 'resume'));
    return deeds;
  }

  async #do(deed: () => Promise<void>): Promise<void> {
    try {
      await deed();
    } catch (error) {
      this.#context.notices.fail(error);
    }
  }
}
