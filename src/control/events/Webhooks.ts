import type { Logger } from 'pino';
import { Webhook } from 'standardwebhooks';
import type { Delivery, DeliveryResult, Outbox } from '../../catalogue/Delivery.js';
import type { AccountConfig, WebhookConfig } from '../../config/Config.js';
import type { Clock } from '../../storage/Clock.js';
import { deliveriesOf, idsOf, type RecordingEvent } from './RecordingEvents.js';

export interface WebhooksOptions {
  readonly outbox: Outbox;
  /** Undefined where nobody knows the account. @throws when that can't be found out */
  readonly find: (accountId: string) => Promise<AccountConfig | undefined>;
  /** Of pauses. */
  readonly clock: Pick<Clock, 'sleep'>;
  /** Ms since the Unix epoch. Default: the clock of the machine. */
  readonly nowMs?: () => number;
  /** Keeps what could not be delivered at once where no catalogue's loss touches it, and lets it go again. May fail. */
  readonly keep: (delivery: Delivery) => Promise<void>;
  readonly letGo: (delivery: Delivery) => Promise<void>;
  /** Told of each try. */
  readonly tried: (outcome: 'delivered' | 'failed' | 'givenUp') => void;
  readonly log: Logger;
}

/** Deliveries that are tried at once, of them to one endpoint, and that are read at once. */
const triedAtOnce = 16;
const triedAtOneEndpoint = 4;
const readAtOnce = 256;
/** Events that are put into the outbox at once. */
const postedAtOnce = 32;
/** An endpoint answers within this, or has not taken it, ms. */
const answerMs = 15_000;
/** Somebody else may try what one has begun to try only after this, ms. */
const claimMs = 60_000;
/** The first pause after a failure; each is three times the one before, at most an hour; ms. */
const firstPauseMs = 5000;
const longestPauseMs = 3_600_000;
/** So long after it happened an event isn't tried any more, ms. */
const patienceMs = 3 * 86_400_000;
/** For so long what was delivered is remembered, so that it can be delivered again, ms. */
const rememberMs = 30 * 86_400_000;
/** The catalogue is asked again after this when it is away, and looked into when nothing is known to be due, ms. */
const lookMs = 5000;
/** Events that wait for a catalogue that is away; beyond, the oldest is dropped and told of. */
const mostUnposted = 10_000;
/** Lines that are known to be held up; what comes to one that isn't remembered is kept at its next failure. */
const mostHeldUp = 10_000;

/** What waits for one another: a recording's events for an endpoint. */
type Line = Pick<Delivery, 'recordingId' | 'endpoint'>;

/**
 * Tells accounts what happens to their recordings: each event once or more, those of one recording in their order, signed as Standard
 * Webhooks has it. Events lie in the catalogue until they are delivered; nothing of it is waited for by whoever tells of one.
 */
export class Webhooks {
  readonly #options: WebhooksOptions;
  /** Not yet in the outbox. */
  #unposted: RecordingEvent[] = [];
  #isStopped = true;
  /** Endpoints of what is being tried. */
  readonly #trying = new Map<string, string>();
  #wake: () => void = () => undefined;
  #running: Promise<void> = Promise.resolve();
  #forgottenMs = 0;
  /** Lines whose first wasn't taken. */
  readonly #heldUp = new Set<string>();
  /** Those of them in which something isn't kept yet. */
  readonly #unkept = new Map<string, Line>();
  #keeping: Promise<void> = Promise.resolve();

  constructor(options: WebhooksOptions) {
    this.#options = options;
  }

  start(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    this.#running = this.#run();
  }

  /** Ends when what is being tried has been. What waits is tried by whoever comes next. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake();
    await this.#running;
    while (this.#trying.size > 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    await this.#keeping;
  }

  /** Something has happened. Never throws, and nobody waits for it. */
  tell(event: RecordingEvent): void {
    this.#unposted.push(event);
    if (this.#unposted.length > mostUnposted) {
      const [dropped] = this.#unposted.splice(0, 1);
      const { type, manifest } = dropped ?? event;
      const { recordingId, callId, accountId, provider } = manifest;
      const about = { type, recordingId, callId, accountId, provider };
      this.#options.log.error(about, 'an event was dropped');
    }
    this.#wake();
  }

  /** Has deliveries of a recording tried again, whatever became of them. @throws ReelayError `catalogue_unavailable` */
  async replay(deliveries: readonly Delivery[]): Promise<void> {
    const { outbox } = this.#options;
    const dueMs = this.#now();
    for (const each of deliveries)
      await outbox.settle(each, { state: 'waiting', tries: 0, dueMs, problem: null });
    this.#wake();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const woken = new Promise<void>((resolve) => (this.#wake = resolve));
      const pauseMs = await this.#round().catch((error: unknown) => {
        this.#options.log.debug({ err: error }, 'events wait for the catalogue');
        return lookMs;
      });
      // It may have been stopped meanwhile, which wakes.
      if (pauseMs > 0) await this.#within(pauseMs, woken);
    }
  }

  /** @returns how long there is nothing to do, ms */
  async #round(): Promise<number> {
    const { outbox } = this.#options;
    await this.#post();
    const due = await outbox.due(this.#now(), readAtOnce);
    const begun = due.filter((delivery) => this.#begin(delivery));
    if (begun.length > 0) return 0;
    if (this.#now() - this.#forgottenMs > longestPauseMs) {
      this.#forgottenMs = this.#now();
      await outbox.forgetBefore(this.#now() - rememberMs);
    }
    const next = await outbox.nextDueMs();
    // What is due and not begun waits for one that is being tried, which tells when it is over.
    return next === null || due.length > 0 ? lookMs : Math.min(lookMs, Math.max(1, next - this.#now()));
  }

  /** @returns whether it is being tried now */
  #begin(delivery: Delivery): boolean {
    const { eventId, endpoint } = delivery;
    const name = `${eventId} ${endpoint}`;
    const there = [...this.#trying.values()].filter((each) => each === endpoint).length;
    const isRoom = this.#trying.size < triedAtOnce && there < triedAtOneEndpoint;
    if (this.#isStopped || !isRoom || this.#trying.has(name)) return false;
    this.#trying.set(name, endpoint);
    void this.#try(delivery)
      .catch((error: unknown) =>
        this.#options.log.debug(
          { err: error, ...idsOf(delivery), eventId },
          'an event waits for the catalogue',
        ),
      )
      .finally(() => {
        this.#trying.delete(name);
        this.#wake();
      });
    return true;
  }

  async #post(): Promise<void> {
    const { outbox, find } = this.#options;
    while (this.#unposted.length > 0) {
      const events = this.#unposted.slice(0, postedAtOnce);
      const deliveries: Delivery[] = [];
      for (const event of events) {
        const account = await find(event.manifest.accountId);
        if (account !== undefined) deliveries.push(...deliveriesOf(event, account, this.#now()));
      }
      if (deliveries.length > 0) await outbox.post(deliveries);
      for (const each of deliveries) if (this.#heldUp.has(nameOf(each))) this.#keepSoon(each);
      this.#unposted = this.#unposted.filter((event) => !events.includes(event));
    }
  }

  async #try(delivery: Delivery): Promise<void> {
    const { outbox, find, tried, log } = this.#options;
    const nowMs = this.#now();
    if (!(await outbox.claim(delivery, nowMs + claimMs))) return;
    const account = await find(delivery.accountId);
    const webhook = account?.webhooks.find(({ url }) => url === delivery.endpoint);
    const problem =
      webhook === undefined ? 'the endpoint is not configured any more' : await this.#send(delivery, webhook);
    const tries = delivery.tries + 1;
    const { eventId, type, endpoint } = delivery;
    const about = { ...idsOf(delivery), eventId, type, endpoint: hostOf(endpoint), tries };
    if (problem === null) {
      await this.#settle(delivery, { state: 'delivered', tries, dueMs: this.#now(), problem });
      tried('delivered');
      log.debug(about, 'an event was delivered');
    } else if (webhook === undefined || this.#now() - delivery.createdMs > patienceMs) {
      await this.#settle(delivery, { state: 'givenUp', tries, dueMs: this.#now(), problem });
      tried('givenUp');
      log.error({ ...about, problem }, 'an event was not delivered, and isn’t tried any more');
    } else {
      const dueMs = this.#now() + pauseAfter(tries);
      await outbox.settle(delivery, { state: 'waiting', tries, dueMs, problem });
      this.#holdUp(delivery);
      tried('failed');
      log.warn({ ...about, problem, wait: dueMs - this.#now() }, 'an event was not taken; trying again');
    }
  }

  /** Nothing of it is to be done any more. */
  async #settle(delivery: Delivery, result: DeliveryResult): Promise<void> {
    this.#heldUp.delete(nameOf(delivery));
    if (await this.#options.outbox.settle(delivery, result)) await this.#mindfully(this.#letGo(delivery));
  }

  async #letGo(delivery: Delivery): Promise<void> {
    await this.#options.letGo(delivery);
    await this.#options.outbox.markKept(delivery, false);
  }

  /** The first of its line wasn't taken, so that all of it may wait for long. */
  #holdUp(line: Line): void {
    this.#heldUp.add(nameOf(line));
    const [oldest] = this.#heldUp;
    if (this.#heldUp.size > mostHeldUp && oldest !== undefined) this.#heldUp.delete(oldest);
    this.#keepSoon(line);
  }

  /** Has everything that waits in a line kept, one line after the other; nobody waits for it. */
  #keepSoon(line: Line): void {
    if (this.#unkept.has(nameOf(line))) return;
    this.#unkept.set(nameOf(line), line);
    this.#keeping = this.#keeping.then(async () => {
      this.#unkept.delete(nameOf(line));
      await this.#mindfully(this.#keep(line));
    });
  }

  async #keep({ recordingId, endpoint }: Line): Promise<void> {
    const { outbox, keep } = this.#options;
    const waiting = async (): Promise<Delivery[]> =>
      (await outbox.deliveriesOf(recordingId)).filter(
        (each) => each.endpoint === endpoint && each.state === 'waiting',
      );
    const unkept = (await waiting()).filter(({ isKept }) => !isKept);
    for (const each of unkept) {
      await keep({ ...each, isKept: true });
      await outbox.markKept(each, true);
    }
    // What was delivered meanwhile was settled before anybody knew that it is kept.
    const left = new Set((await waiting()).map(({ eventId }) => eventId));
    for (const each of unkept) if (!left.has(each.eventId)) await this.#letGo(each);
  }

  /** @returns what was wrong, null when it was taken */
  async #send({ eventId, endpoint, body }: Delivery, { secret }: WebhookConfig): Promise<string | null> {
    // Receivers hold it against their own clock.
    const now = new Date();
    const headers = {
      'content-type': 'application/json',
      'webhook-id': eventId,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': new Webhook(secret).sign(eventId, now, body),
    };
    try {
      const signal = AbortSignal.timeout(answerMs);
      const response = await fetch(endpoint, { method: 'POST', headers, body, redirect: 'manual', signal });
      // Nobody reads what it says beside its status.
      await response.body?.cancel();
      return response.ok ? null : `it answered ${response.status}`;
    } catch (error) {
      const { cause } = error as { readonly cause?: { readonly code?: string } };
      return cause?.code ?? (error as Error).name;
    }
  }

  #now(): number {
    return (this.#options.nowMs ?? Date.now)();
  }

  /** It is in the catalogue; a store that can't be asked holds nothing up. */
  async #mindfully(work: Promise<void>): Promise<void> {
    await work.catch((error: unknown) =>
      this.#options.log.debug({ err: error }, 'an event is in the catalogue alone'),
    );
  }

  async #within(ms: number, woken: Promise<void>): Promise<void> {
    const { clock } = this.#options;
    const waiting = new AbortController();
    await Promise.race([woken, clock.sleep(ms, waiting.signal).catch(() => undefined)]);
    waiting.abort();
  }
}

function nameOf({ recordingId, endpoint }: Line): string {
  return `${recordingId} ${endpoint}`;
}

/** Spread a little, so that what failed together isn't tried together for ever. */
function pauseAfter(tries: number): number {
  const pause = Math.min(longestPauseMs, firstPauseMs * 3 ** (tries - 1));
  return Math.round(pause * (0.9 + Math.random() * 0.2));
}

/** Whatever else is in the URL may be a secret. */
function hostOf(url: string): string {
  return new URL(url).host;
}
