import type { StoreConfig } from '../config/Config.js';
import { AzureStore } from './AzureStore.js';
import type { Clock } from './Clock.js';
import { FileStore } from './FileStore.js';
import type { ObjectStore } from './ObjectStore.js';
import { S3Store } from './S3Store.js';

/** The store that a configuration means. Nothing is asked, made or loaded before it is used. */
export function openStore(config: StoreConfig, clock: Clock): ObjectStore {
  switch (config.type) {
    case 'file':
      return new FileStore(config.dir);
    case 's3':
      return new S3Store(config, clock);
    case 'azure':
      return new AzureStore(config, clock);
  }
}
