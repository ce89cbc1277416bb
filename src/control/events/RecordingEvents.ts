import type { Delivery } from '../../catalogue/Delivery.js';
import type { AccountConfig, WebhookConfig } from '../../config/Config.js';
import type { EventType } from '../../config/eventTypes.js';
import type { Manifest } from '../../spool/Manifest.js';

/** Something that happened to a recording. */
export interface RecordingEvent {
  readonly type: EventType;
  readonly manifest: Manifest;
  /** Of `recording.chunk.stored`: its index. Of `recording.stalled`: that of the chunk that doesn't come. */
  readonly chunk?: number | undefined;
}

/** One that was told of. */
export interface ToldEvent extends RecordingEvent {
  /** When; ms since the Unix epoch. */
  readonly toldMs: number;
}

/** Behind all chunks. */
const lastSequence = 2 ** 40;
const endings = { complete: 'recording.completed', interrupted: 'recording.interrupted' } as const;

/** The event of a recording that is whole in its store. */
export function endingOf({ state }: Manifest): EventType {
  return state === 'complete' || state === 'interrupted' ? endings[state] : 'recording.failed';
}

/**
 * The deliveries of an event to an account's endpoints. The same event has the same id and place whenever it is made, in whichever process,
 * so that what is told twice is delivered once, or known for a repetition.
 */
export function deliveriesOf(event: ToldEvent, account: AccountConfig, nowMs: number): Delivery[] {
  const { type, manifest, chunk, toldMs } = event;
  // The manifest without its chunks, which may be thousands; what is undefined isn't written.
  const data = { ...manifest, chunks: undefined, chunk };
  const body = JSON.stringify({ type, timestamp: new Date(toldMs).toISOString(), data });
  return account.webhooks
    .filter((webhook) => wants(webhook, type))
    .map(({ url }) => ({
      eventId: eventIdOf(event),
      endpoint: url,
      accountId: manifest.accountId,
      recordingId: manifest.recordingId,
      type,
      sequence: sequenceOf(event),
      body,
      createdMs: toldMs,
      state: 'waiting',
      tries: 0,
      dueMs: nowMs,
      problem: null,
      isKept: false,
    }));
}

/** Whose recording a delivery is about, for log lines. */
export function idsOf({ recordingId, accountId, body }: Delivery): Readonly<Record<string, unknown>> {
  try {
    const { data } = JSON.parse(body) as { readonly data?: Partial<Manifest> };
    return { recordingId, callId: data?.callId, accountId, provider: data?.provider };
  } catch {
    // One that was kept in a store may have been written by anybody.
    return { recordingId, accountId };
  }
}

function wants({ events }: WebhookConfig, type: EventType): boolean {
  return events === null || events.includes(type);
}

/** The same for the same event, told by whomever. */
export function eventIdOf({ type, manifest, chunk }: RecordingEvent): string {
  const name = type.slice('recording.'.length).replaceAll('.', '_');
  return ['msg', manifest.recordingId, name, ...(chunk === undefined ? [] : [chunk])].join('_');
}

function sequenceOf({ type, chunk = 0 }: RecordingEvent): number {
  if (type === 'recording.started') return 0;
  if (type === 'recording.stalled') return 2 * chunk + 1;
  return type === 'recording.chunk.stored' ? 2 * chunk + 2 : lastSequence;
}
