import { EventEmitter, once } from 'node:events';
import type { Logger } from 'pino';
import { Webhook } from 'standardwebhooks';
import type { Delivery, DeliveryResult, Outbox } from '../../catalogue/Delivery.js';
import type { AccountConfig, WebhookConfig } from '../../config/Config.js';
import type { Clock } from '../../storage/Clock.js';
import type { EventJournal } from './EventJournal.js';
import { HeldUpLines } from './HeldUpLines.js';
import { Places } from './Places.js';
import { deliveriesOf, eventIdOf, idsOf, type RecordingEvent, type ToldEvent } from './RecordingEvents.js';
import { UnpostedEvents } from './UnpostedEvents.js';

export interface WebhooksOptions {
  readonly outbox: Outbox;
  /** Where events lie until the outbox has them. */
  readonly journal: EventJournal;
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
  /** Told of each event that nobody will ever be told. */
  readonly dropped: () => void;
  readonly log: Logger;
}

/** Deliveries that are read at once. */
const readAtOnce = 256;
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

/**
 * Tells accounts what happens to their recordings: each event once or more, those of one recording in their order, signed as Standard
 * Webhooks has it. Events lie on the disk until they are in the catalogue, and there until they are delivered. What hangs or fails of one
 * account, its endpoint or its being looked up, keeps no other's waiting.
 */
export class Webhooks {
  readonly #options: WebhooksOptions;
  readonly #unposted: UnpostedEvents;
  /** Accounts that could not be looked up in this round. */
  readonly #unfindable = new Set<string>();
  #isStopped = true;
  /** Of what is being tried. */
  readonly #places = new Places();
  readonly #heldUp: HeldUpLines;
  /** Rings `told` when there may be something to post, `due` when there may be something to try. */
  readonly #bell = new EventEmitter();
  #running: Promise<unknown> = Promise.resolve();
  #forgottenMs = 0;

  constructor(options: WebhooksOptions) {
    this.#options = options;
    this.#heldUp = new HeldUpLines(options);
    this.#unposted = new UnpostedEvents({
      journal: options.journal,
      post: (events) => this.#post(events),
      dropped: (event) => this.#drop(event, 'there is no room for it'),
    });
  }

  start(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    this.#running = Promise.all([
      this.#repeat('told', () => this.#postRound()),
      this.#repeat('due', () => this.#tryRound()),
    ]);
  }

  /** Ends when what is being tried has been. What waits is posted, or tried, by whoever comes next. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#ring('told');
    this.#ring('due');
    await this.#running;
    await this.#unposted.post().catch((error: unknown) => this.#tellWaiting(error));
    while (this.#places.size > 0) await once(this.#bell, 'due');
    await this.#heldUp.idle();
    await this.#unposted.close();
  }

  /** What predecessors have told and not posted is this one's: no other process on the spool has any. Never rejects. */
  async takeUp(): Promise<void> {
    await this.#unposted.takeUp();
    this.#ring('told');
  }

  /** Something has happened. Resolves when that will be told whatever ends now, this process included; never rejects. */
  async tell(event: RecordingEvent): Promise<void> {
    const kept = this.#unposted.tell({ ...event, toldMs: this.#now() });
    this.#ring('told');
    await kept;
  }

  /** Has deliveries of a recording tried again, whatever became of them. @throws ReelayError `catalogue_unavailable` */
  async replay(deliveries: readonly Delivery[]): Promise<void> {
    const { outbox } = this.#options;
    const dueMs = this.#now();
    for (const each of deliveries)
      await outbox.settle(each, { state: 'waiting', tries: 0, dueMs, problem: null });
    this.#ring('due');
  }

  /** @param round - resolves with how long there is nothing to do, ms, unless the bell rings */
  async #repeat(bell: 'told' | 'due', round: () => Promise<number>): Promise<void> {
    while (!this.#isStopped) {
      const rung = new AbortController();
      const ring = (): void => rung.abort();
      // Before the round, in which it may ring already.
      this.#bell.once(bell, ring);
      const pauseMs = await round().catch((error: unknown) => {
        this.#tellWaiting(error);
        return lookMs;
      });
      if (pauseMs > 0) await this.#options.clock.sleep(pauseMs, rung.signal).catch(() => undefined);
      this.#bell.off(bell, ring);
    }
  }

  #ring(bell: 'told' | 'due'): void {
    this.#bell.emit(bell);
  }

  async #postRound(): Promise<number> {
    this.#unfindable.clear();
    await this.#unposted.post();
    return lookMs;
  }

  async #tryRound(): Promise<number> {
    const { outbox } = this.#options;
    const { busy } = this.#places;
    const due = await outbox.due(this.#now(), readAtOnce, busy);
    const begun = due.filter((delivery) => this.#begin(delivery));
    if (begun.length > 0) return 0;
    if (this.#now() - this.#forgottenMs > longestPauseMs) {
      this.#forgottenMs = this.#now();
      await outbox.forgetBefore(this.#now() - rememberMs);
    }
    const next = await outbox.nextDueMs(busy);
    // What is due and not begun waits for one that is being tried, which rings when it is over.
    return next === null || due.length > 0 ? lookMs : Math.min(lookMs, Math.max(1, next - this.#now()));
  }

  /** @returns whether it is being tried now */
  #begin(delivery: Delivery): boolean {
    if (this.#isStopped || !this.#places.take(delivery)) return false;
    void this.#try(delivery)
      .catch((error: unknown) => this.#tellWaiting(error, { ...idsOf(delivery), eventId: delivery.eventId }))
      .finally(() => {
        this.#places.leave(delivery);
        this.#ring('due');
      });
    return true;
  }

  /** @returns those whose account can't be looked up for now */
  async #post(events: readonly ToldEvent[]): Promise<readonly ToldEvent[]> {
    const { outbox } = this.#options;
    const found = await this.#accountsOf(events);
    const deliveries = events.flatMap((event) => {
      const account = found.get(event.manifest.accountId);
      return account === undefined ? [] : deliveriesOf(event, account, this.#now());
    });
    if (deliveries.length > 0) await outbox.post(deliveries);
    for (const each of deliveries) this.#heldUp.posted(each);
    if (deliveries.length > 0) this.#ring('due');
    return events.filter((event) => this.#unfindable.has(event.manifest.accountId) && !this.#isTooOld(event));
  }

  /** Those that are known. Of the others some are {@link #unfindable} afterwards, and nobody knows the rest. */
  async #accountsOf(events: readonly ToldEvent[]): Promise<ReadonlyMap<string, AccountConfig>> {
    const { find, log } = this.#options;
    const found = new Map<string, AccountConfig>();
    const asked = new Set(events.map(({ manifest }) => manifest.accountId));
    const ask = async (accountId: string): Promise<void> => {
      try {
        const account = await find(accountId);
        if (account !== undefined) found.set(accountId, account);
      } catch (error) {
        this.#unfindable.add(accountId);
        log.debug({ err: error, accountId }, 'events wait until their account can be looked up');
      }
    };
    await Promise.all([...asked].filter((each) => !this.#unfindable.has(each)).map(ask));
    return found;
  }

  #isTooOld(event: ToldEvent): boolean {
    if (this.#now() - event.toldMs <= patienceMs) return false;
    this.#drop(event, 'its account could not be looked up for too long');
    return true;
  }

  #drop(event: ToldEvent, problem: string): void {
    const { recordingId, callId, accountId, provider } = event.manifest;
    const about = { eventId: eventIdOf(event), type: event.type, recordingId, callId, accountId, provider };
    this.#options.dropped();
    this.#options.log.error({ ...about, problem }, 'an event was dropped');
  }

  async #try(delivery: Delivery): Promise<void> {
    const { outbox, find, tried, log } = this.#options;
    const nowMs = this.#now();
    if (!(await outbox.claim(delivery, nowMs + claimMs))) return;
    const account = await find(delivery.accountId);
    const webhook = account?.webhooks.find(({ url }) => url === delivery.endpoint);
    const problem =
      webhook === undefined ? 'the endpoint is not configured any more' : await this.#send(delivery, webhook);
    if (webhook !== undefined) this.#places.answered(delivery.endpoint, problem === null);
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
      this.#heldUp.add(delivery);
      tried('failed');
      log.warn({ ...about, problem, wait: dueMs - this.#now() }, 'an event was not taken; trying again');
    }
  }

  /** Nothing of it is to be done any more. */
  async #settle(delivery: Delivery, result: DeliveryResult): Promise<void> {
    await this.#heldUp.settled(delivery, await this.#options.outbox.settle(delivery, result));
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

  #tellWaiting(error: unknown, about: object = {}): void {
    this.#options.log.debug({ err: error, ...about }, 'events wait for the catalogue');
  }
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
