import { createHash, randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { ObjectStore } from './ObjectStore.js';
import { readSmall } from './readSmall.js';

/** Nobody may delete this recording. */
export interface Hold {
  readonly schema: 1;
  readonly recordingId: string;
  readonly accountId: string;
  /** Why; what who asked for it said. */
  readonly note: string | null;
  /** The name of the key that asked for it. */
  readonly by: string;
  /** ISO 8601. */
  readonly since: string;
}

/** What is left of a recording that was deleted. */
export interface Tombstone {
  readonly schema: 1;
  readonly recordingId: string;
  readonly accountId: string;
  readonly callId: string;
  /** ISO 8601, of the recording. */
  readonly startTime: string;
  /** ISO 8601. */
  readonly deletedTime: string;
  /** `request`: somebody asked for it. `retention`: it was older than its account keeps recordings. */
  readonly cause: 'request' | 'retention';
  /** The name of the key that asked for it; `reelay` for the latter. */
  readonly by: string;
}

const time = z.iso.datetime();
const id = z.string().min(1);
const hold: z.ZodType<Hold> = z.looseObject({
  schema: z.literal(1),
  recordingId: id,
  accountId: id,
  note: z.string().nullable(),
  by: z.string(),
  since: time,
});
const tombstone: z.ZodType<Tombstone> = z.looseObject({
  schema: z.literal(1),
  recordingId: id,
  accountId: id,
  callId: id,
  startTime: time,
  deletedTime: time,
  cause: z.enum(['request', 'retention']),
  by: z.string(),
});

/** No account's id begins like this, so nothing here can be taken for a recording. */
const root = '_reelay';
/** Larger ones are somebody else's. */
const mostBytes = 4 * 2 ** 20;
const readAtOnce = 8;

/** Something that was to be told and wasn't taken; what it is like is its writer's. */
export interface Undelivered {
  readonly eventId: string;
  readonly endpoint: string;
  readonly accountId: string;
}

const undelivered = z.looseObject({ eventId: id, endpoint: id, accountId: id });

interface Owned {
  readonly accountId: string;
  readonly recordingId: string;
}

/**
 * What can't be derived from recordings and must outlive every catalogue: it lies beside them in their store, a small object each, and is
 * asked there.
 *
 *     _reelay/<account>/holds/<recordingId>.json
 *     _reelay/<account>/tombstones/<recordingId>.json
 *     _reelay/<account>/outbox/<eventId>-<endpoint's hash>.json
 */
export class Ledger {
  readonly #store: ObjectStore;
  readonly #outgoing: string;

  /** @param outgoing - a folder for what is on its way to the store; files there have names that nobody else gives */
  constructor(store: ObjectStore, outgoing: string) {
    this.#store = store;
    this.#outgoing = outgoing;
  }

  /** Null also for one that can't be read; {@link isHeld} knows of that, too. */
  async hold(recording: Owned): Promise<Hold | null> {
    const held = await readFrom(this.#store, keyOf('holds', recording), hold);
    return held?.recordingId === recording.recordingId ? held : null;
  }

  /** Whether there is a hold, whatever it says: one that is damaged, or of a later version, holds all the same. */
  async isHeld(recording: Owned): Promise<boolean> {
    return (await this.#store.size(keyOf('holds', recording))) !== null;
  }

  async putHold(held: Hold): Promise<void> {
    await this.#put(keyOf('holds', held), held);
  }

  async releaseHold(recording: Owned): Promise<void> {
    await this.#store.delete(keyOf('holds', recording));
  }

  async bury(buried: Tombstone): Promise<void> {
    await this.#put(keyOf('tombstones', buried), buried);
  }

  /** Takes a tombstone back, of a recording that nothing was deleted of yet. */
  async exhume(recording: Owned): Promise<void> {
    await this.#store.delete(keyOf('tombstones', recording));
  }

  /** Whether there is a tombstone, whatever it says. */
  async isBuried(recording: Owned): Promise<boolean> {
    return (await this.#store.size(keyOf('tombstones', recording))) !== null;
  }

  async tombstone(recording: Owned): Promise<Tombstone | null> {
    const buried = await readFrom(this.#store, keyOf('tombstones', recording), tombstone);
    return buried?.recordingId === recording.recordingId ? buried : null;
  }

  async keep(event: Undelivered): Promise<void> {
    await this.#put(outboxKeyOf(event), event);
  }

  async letGo(event: Undelivered): Promise<void> {
    await this.#store.delete(outboxKeyOf(event));
  }

  async #put(key: string, document: object): Promise<void> {
    const text = JSON.stringify(document, null, 2) + '\n';
    const file = join(this.#outgoing, `outgoing-${randomUUID()}.json`);
    try {
      await writeFile(file, text);
      await this.#store.put(key, file, { sha256: createHash('sha256').update(text).digest('hex') });
    } finally {
      await rm(file, { force: true });
    }
  }
}

/** All tombstones of a store that can be read and say where they lie. @param accountId - default: of all accounts */
export async function* tombstonesIn(store: ObjectStore, accountId?: string): AsyncGenerator<Tombstone> {
  const prefix = accountId === undefined ? `${root}/` : `${root}/${accountId}/tombstones/`;
  let keys: string[] = [];
  for await (const { key } of store.list(prefix)) {
    if (!tombstoneKey.test(key)) continue;
    keys.push(key);
    if (keys.length < readAtOnce) continue;
    yield* await buriedIn(store, keys);
    keys = [];
  }
  yield* await buriedIn(store, keys);
}

/** What has waited in a store's outbox, as it was written. @param accountId - default: of all accounts */
export async function* undeliveredIn(store: ObjectStore, accountId?: string): AsyncGenerator<Undelivered> {
  for await (const { key } of store.list(
    accountId === undefined ? `${root}/` : `${root}/${accountId}/outbox/`,
  )) {
    if (!/^_reelay\/[^/]+\/outbox\/[^/]+\.json$/.test(key)) continue;
    const event = await readFrom(store, key, undelivered);
    if (event !== null && outboxKeyOf(event) === key) yield event;
  }
}

function outboxKeyOf({ eventId, endpoint, accountId }: Undelivered): string {
  const hash = createHash('sha256').update(endpoint).digest('hex').slice(0, 16);
  return `${root}/${accountId}/outbox/${eventId}-${hash}.json`;
}

const tombstoneKey = /^_reelay\/[^/]+\/tombstones\/[^/]+\.json$/;

async function buriedIn(store: ObjectStore, keys: readonly string[]): Promise<Tombstone[]> {
  const read = keys.map(async (key) => ({ key, buried: await readFrom(store, key, tombstone) }));
  return (await Promise.all(read)).flatMap(({ key, buried }) =>
    buried !== null && keyOf('tombstones', buried) === key ? [buried] : [],
  );
}

/** Null where there is nothing that can be read. @throws the store's own error when it can't be asked */
async function readFrom<T>(store: ObjectStore, key: string, schema: z.ZodType<T>): Promise<T | null> {
  const bytes = await readSmall(store, key, mostBytes);
  if (bytes === null) return null;
  try {
    return schema.parse(JSON.parse(bytes.toString()));
  } catch {
    return null;
  }
}

function keyOf(kind: 'holds' | 'tombstones', { accountId, recordingId }: Owned): string {
  return `${root}/${accountId}/${kind}/${recordingId}.json`;
}
