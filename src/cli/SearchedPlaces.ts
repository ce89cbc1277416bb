import { bucketStore, isBucketUrl } from '../config/bucketStore.js';
import type { Config, S3StoreConfig, StoreConfig } from '../config/Config.js';
import type { Environment } from '../config/environment.js';
import { loadConfig } from '../config/load.js';
import { ReelayError } from '../config/ReelayError.js';
import { FolderRoot, ObjectRoot, type RecordingRoot } from '../spool/RecordingRoot.js';
import { clockOf } from '../storage/Clock.js';
import type { ObjectStore } from '../storage/ObjectStore.js';
import { openStore } from '../storage/openStore.js';

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
    const store = this.#open({ ...(this.#bucketOf(bucket) ?? found.store), prefix: '' });
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

  /** Each place once, however many accounts share it. */
  #configured({ accounts }: Config): RecordingRoot[] {
    const roots = new Map<string, RecordingRoot>();
    for (const { store } of accounts) {
      if (store === null) continue;
      const root = store.type === 'file' ? new FolderRoot(store.dir) : this.#rootOf(store);
      if (!roots.has(root.name)) roots.set(root.name, root);
    }
    return [...roots.values()];
  }

  #rootOf(config: StoreConfig): RecordingRoot {
    const store = this.#open(config);
    return new ObjectRoot(store, store.name);
  }

  #open(config: StoreConfig): ObjectStore {
    const store = openStore(config, clockOf());
    this.#opened.push(store);
    return store;
  }
}

const useWhat = 'Give a folder or s3://bucket/prefix; for other stores name the configuration with --config.';

function withoutSecrets(url: string): string {
  return url.replace(/\/\/[^/]*@/, '//').replace(/[?#].*$/, '');
}
