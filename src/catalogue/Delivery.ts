import { z } from 'zod';

/** An event on its way to one endpoint of its account. */
export interface Delivery {
  /** Of the event, the same for all endpoints and tries: what a receiver knows a repetition by. */
  readonly eventId: string;
  /** URL. */
  readonly endpoint: string;
  readonly accountId: string;
  readonly recordingId: string;
  readonly type: string;
  /** What happened to one recording is delivered in this order. */
  readonly sequence: number;
  /** As it is sent and signed. */
  readonly body: string;
  /** Ms since the Unix epoch. */
  readonly createdMs: number;
  /** `waiting` ones keep later ones of the same recording and endpoint waiting, too. */
  readonly state: 'waiting' | 'delivered' | 'givenUp';
  readonly tries: number;
  /** When it is tried next, or what became of it was known; ms since the Unix epoch. */
  readonly dueMs: number;
  /** What came of the last try; null where nothing was wrong. */
  readonly problem: string | null;
  /** It lies in its account's store, too, where no catalogue's loss touches it. */
  readonly isKept: boolean;
}

const delivery = z.looseObject({
  eventId: z.string(),
  endpoint: z.url(),
  accountId: z.string(),
  recordingId: z.string(),
  type: z.string(),
  sequence: z.int().nonnegative(),
  body: z.string(),
  createdMs: z.number(),
  state: z.enum(['waiting', 'delivered', 'givenUp']),
  tries: z.int().nonnegative(),
  dueMs: z.number(),
  problem: z.string().nullable(),
  isKept: z.boolean(),
});

/** Whether something that was read is one. */
export function isDelivery(value: unknown): value is Delivery {
  return delivery.safeParse(value).success;
}

/** What names a delivery. */
export type DeliveryKey = Pick<Delivery, 'eventId' | 'endpoint'>;

/** What a try has come to. */
export type DeliveryResult = Pick<Delivery, 'state' | 'tries' | 'dueMs' | 'problem'>;

/** Who has as many deliveries under way as it may have. */
export interface Busy {
  readonly endpoints: readonly string[];
  readonly accounts: readonly string[];
}

/** The deliveries of all accounts, until they are delivered and for some time after that. Fails like a catalogue. */
export interface Outbox {
  /** Takes those that it doesn't have; one that it has stays as it is. */
  post(deliveries: readonly Delivery[]): Promise<void>;
  /** Those that wait for nobody and are due, the earliest first. @param busy - whose are left out; default: nobody */
  due(nowMs: number, most: number, busy?: Busy): Promise<readonly Delivery[]>;
  /** When the next one is due, ms since the Unix epoch; null when none waits. @param busy - whose are left out; default: nobody */
  nextDueMs(busy?: Busy): Promise<number | null>;
  /**
   * Lets one caller try a delivery that was due, and nobody else before `untilMs`: several daemons may look into one outbox.
   *
   * @returns whether it is the caller's
   */
  claim(delivery: Delivery, untilMs: number): Promise<boolean>;
  /** @returns whether it is kept elsewhere, too */
  settle(delivery: DeliveryKey, result: DeliveryResult): Promise<boolean>;
  /** It lies in its account's store, too, or doesn't any more. */
  markKept(delivery: DeliveryKey, isKept: boolean): Promise<void>;
  /** Of one recording, in their order. @param accountId - whose it is; default: anybody's */
  deliveriesOf(recordingId: string, accountId?: string): Promise<readonly Delivery[]>;
  /** Forgets what was settled before that, ms since the Unix epoch. */
  forgetBefore(ms: number): Promise<void>;
}
