import { resolve } from 'node:path';
import { bucketStore, isBucketUrl } from '../config/bucketStore.js';
import type { Config, S3StoreConfig, StoreConfig } from '../config/Config.js';
import type { Environment } from '../config/environment.js';
import { loadConfig } from '../config/load.js';
import { ReelayError } from '../config/ReelayError.js';
import { FolderRoot, ObjectRoot, type RecordingRoot } from '../spool/RecordingRoot.js';
import type { ObjectStore } from '../storage/ObjectStore.js';
import { S3Store } from '../storage/S3Store.js';
import { Stores } from '../storage/Stores.js';

/** Where the command line says that recordings are looked for. */
export interface SearchOptions {
  /** A folder or `s3://bucket/prefix`. */
  readonly store?: string | undefined;
  readonly spool?: string | undefined;
  /** A configuration, whose stores and spool are meant where the two above are not given. */
  readonly config?: string | undefined;
}

/**
 * The stores and the spool that a command reads from. Buckets that the configuration knows are read with its credentials,
 * others as the AWS command line would.
 */
export class SearchedPlaces {
  readonly stores: readonly RecordingRoot[];
  readonly spool: RecordingRoot;
  readonly #config: Config | undefined;
  readonly #environment: Environment;
  readonly #opened: ObjectStore[] = [];

  /** @throws ReelayError `config_unreadable`, `config_invalid`, `target_unsupported` */
  constructor({ store, spool, config }: SearchOptions, environment: Environment = process.env) {
    this.#environment = environment;
    this.#config = config === undefined ? undefined : loadConfig({ config }, environment);
    this.spool = new FolderRoot(spool ?? this.#config?.spool.dir ?? './spool');
    this.stores =
      store === undefined && this.#config !== undefined
        ? this.#configured(this.#config)
        : [this.root(store ?? './recordings')];
  }

  /** Stores first: of a file that lies in several places, the one in the earliest counts. */
  get roots(): readonly RecordingRoot[] {
    return [...this.stores, this.spool];
  }

  /** @param place - a folder or `s3://bucket/prefix` */
  root(place: string): RecordingRoot {
    if (!/^[a-z][a-z0-9+-]+:\/\//i.test(place)) return new FolderRoot(place);
    const found = isBucketUrl(place) ? bucketStore(place, this.#environment) : null;
    if (found === null || 'problem' in found)
      throw new ReelayError('target_unsupported', {
        value: withoutSecrets(place),
        remedy: found?.problem ?? useWhat,
      });
    const { bucket, prefix } = found.store;
    const store = new S3Store({ ...(this.#bucketOf(bucket) ?? found.store), prefix: '' });
    this.#opened.push(store);
    return new ObjectRoot(store, `s3://${bucket}`, prefix);
  }

  close(): void {
    for (const store of this.#opened) store.close();
  }

  #bucketOf(bucket: string): S3StoreConfig | undefined {
    const isIt = (store: StoreConfig | null): store is S3StoreConfig =>
      store?.type === 's3' && store.bucket === bucket;
    return this.#config?.accounts.map(({ store }) => store).find(isIt);
  }

  #configured(config: Config): RecordingRoot[] {
    const dirs = config.accounts.flatMap(({ store }) => (store?.type === 'file' ? [resolve(store.dir)] : []));
    const others = config.accounts.filter(({ store }) => store !== null && store.type !== 'file');
    const stores = new Stores({ ...config, accounts: others }).all();
    this.#opened.push(...stores);
    return [
      ...[...new Set(dirs)].map((dir) => new FolderRoot(dir)),
      ...stores.map((store) => new ObjectRoot(store, store.name)),
    ];
  }
}

const useWhat = 'Give a folder or s3://bucket/prefix; for other stores name the configuration with --config.';

function withoutSecrets(url: string): string {
  return url.replace(/\/\/[^/]*@/, '//').replace(/[?#].*$/, '');
}
