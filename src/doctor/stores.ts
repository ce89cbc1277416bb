import { createHash, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { Config } from '../config/Config.js';
import type { ObjectStore } from '../storage/ObjectStore.js';
import { Stores } from '../storage/Stores.js';
import { type Check, failed, type Findings, ok, reasonOf, warning } from './Check.js';

/** Each store once: an object is put, read, listed and deleted; where calls are kept whole, a multipart upload is begun and given up. */
export async function storeChecks(config: Config): Promise<Check[]> {
  const stores = new Stores(config);
  try {
    const byStore = new Map<ObjectStore, string[]>();
    const without: Check[] = [];
    for (const { id } of config.accounts) {
      const store = await stores.of(id);
      if (store !== null) byStore.set(store, [...(byStore.get(store) ?? []), id]);
      else
        without.push({
          name: 'store',
          subject: id,
          ...warning(
            'none: its recordings fail with no_store and stay in the spool',
            'Give the account a store.',
          ),
        });
    }
    const checks = [...byStore].map(async ([store, ids]): Promise<Check> => ({
      name: 'store',
      subject: `${store.name} of ${ids.join(', ')}`,
      ...(await tryStore(store, config.recording.layout !== 'chunks')),
    }));
    return [...(await Promise.all(checks)), ...without];
  } finally {
    stores.close();
  }
}

interface Step {
  readonly name: string;
  readonly run: () => Promise<void>;
  /** What its failing costs. */
  readonly matters: 'failed' | 'warning';
  readonly remedy: string;
}

async function tryStore(store: ObjectStore, isWhole: boolean): Promise<Findings> {
  const dir = await mkdtemp(join(tmpdir(), 'reelay-doctor-'));
  // Not below a folder, which a store of files would keep.
  const key = `reelay-doctor-${randomUUID()}.txt`;
  const content = Buffer.from('reelay doctor was here, and forgot to clean up.\n');
  const sinceMs = performance.now();
  try {
    const file = join(dir, 'probe.txt');
    await writeFile(file, content);
    const sha256 = createHash('sha256').update(content).digest('hex');
    const problems: Findings[] = [];
    for (const step of stepsOf(store, { key, file, content, sha256, isWhole })) {
      try {
        await step.run();
      } catch (error) {
        const found = step.matters === 'failed' ? failed : warning;
        problems.push(found(`${step.name}: ${reasonOf(error)}`, step.remedy));
        // Nothing else can be tried without an object.
        if (step.name === 'put') break;
      }
    }
    const worst = problems.find(({ status }) => status === 'failed') ?? problems[0];
    if (worst === undefined)
      return ok(`put, read, listed and deleted in ${(performance.now() - sinceMs).toFixed(0)} ms`);
    return { ...worst, detail: problems.map(({ detail }) => detail).join('; ') };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function stepsOf(
  store: ObjectStore,
  probe: {
    readonly key: string;
    readonly file: string;
    readonly content: Buffer;
    readonly sha256: string;
    readonly isWhole: boolean;
  },
): Step[] {
  const { key, file, content, sha256, isWhole } = probe;
  const multipart: Step = {
    name: 'multipart',
    run: async () => await store.multipart.abort(await store.multipart.begin(key)),
    matters: 'failed',
    remedy:
      'Allow multipart uploads to be begun and aborted (s3:PutObject, s3:AbortMultipartUpload), or use layout chunks.',
  };
  return [
    {
      name: 'put',
      run: async () => {
        await store.put(key, file, { sha256 });
      },
      matters: 'failed',
      remedy: 'Check endpoint, bucket, region and credentials, and allow objects to be put (s3:PutObject).',
    },
    {
      name: 'read',
      run: async () => {
        const read = await buffer(await store.read(key));
        if (!read.equals(content)) throw new Error('other bytes came back than were put');
      },
      matters: 'failed',
      remedy:
        'Allow objects to be read (s3:GetObject): recordings are confirmed, played and verified by reading.',
    },
    {
      name: 'list',
      run: async () => {
        for await (const object of store.list(key)) if (object.key === key) return;
        throw new Error('the object that was put is not in the list');
      },
      matters: 'failed',
      remedy: 'Allow objects to be listed (s3:ListBucket): the catalogue is rebuilt from the list.',
    },
    ...(isWhole ? [multipart] : []),
    {
      name: 'delete',
      run: async () => {
        await store.delete(key);
        if ((await store.size(key)) !== null) throw new Error('it is there all the same');
      },
      matters: 'warning',
      remedy: `Allow objects to be deleted (s3:DeleteObject), and delete ${key} by hand.`,
    },
  ];
}
