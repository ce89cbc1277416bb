import type { ContainerClient } from '@azure/storage-blob';
import type { AzureStoreConfig } from '../config/Config.js';
import type { Clock } from './Clock.js';
import { azureFaultOf } from './AzureFault.js';
import { patienceFor, withPatience } from './patience.js';
import { StoreFault } from './StoreFault.js';

/** Requests to one container, each with a deadline that grows with its bytes, and none made twice here. */
export class AzureConnection {
  readonly #config: AzureStoreConfig;
  readonly clock: Clock;
  #opened: Promise<ContainerClient> | null = null;

  constructor(config: AzureStoreConfig, clock: Clock) {
    this.#config = config;
    this.clock = clock;
  }

  /**
   * @param bytes - how many the attempt moves
   * @throws StoreFault
   */
  async attempt<T>(
    bytes: number,
    action: (container: ContainerClient, abortSignal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    try {
      const container = await this.#open();
      return await withPatience(this.clock, patienceFor(bytes), (signal) => action(container, signal));
    } catch (error) {
      throw azureFaultOf(error);
    }
  }

  #open(): Promise<ContainerClient> {
    this.#opened ??= this.#make().catch((error: unknown) => {
      this.#opened = null;
      throw error;
    });
    return this.#opened;
  }

  async #make(): Promise<ContainerClient> {
    const { BlobServiceClient, ContainerClient } = await import('@azure/storage-blob');
    const { container, connectionString, sasUrl } = this.#config;
    const options = { retryOptions: { maxTries: 1 }, keepAliveOptions: { enable: true } };
    try {
      if (connectionString !== null)
        return BlobServiceClient.fromConnectionString(connectionString, options).getContainerClient(
          container,
        );
      const url = new URL(sasUrl ?? '');
      if (url.pathname.split('/').at(-1) === container)
        return new ContainerClient(url.href, undefined, options);
      return new BlobServiceClient(url.href, undefined, options).getContainerClient(container);
    } catch {
      // Whatever the SDK says about it may hold the key.
      const remedy = "Correct the store's connectionString or sasUrl and send SIGHUP.";
      throw new StoreFault('store_denied', { value: 'a connection string that cannot be read', remedy });
    }
  }
}

/** Where a container is, without its key or signature. */
export function placeOf({ container, connectionString, sasUrl }: AzureStoreConfig): string {
  if (sasUrl !== null) {
    const url = URL.canParse(sasUrl) ? new URL(sasUrl) : null;
    const path = url === null ? '' : `${url.origin}${url.pathname}`.replace(/\/+$/, '');
    return path.endsWith(`/${container}`) ? path : `${path}/${container}`;
  }
  const settings = new Map(
    (connectionString ?? '').split(';').map((pair): [string, string] => {
      const [name = '', ...value] = pair.split('=');
      return [name.trim().toLowerCase(), value.join('=').trim()];
    }),
  );
  const account = settings.get('accountname') ?? '';
  const suffix = settings.get('endpointsuffix') ?? 'core.windows.net';
  const protocol = settings.get('defaultendpointsprotocol') ?? 'https';
  const isEmulator = settings.get('usedevelopmentstorage') === 'true';
  const local = isEmulator ? 'http://127.0.0.1:10000/devstoreaccount1' : undefined;
  const endpoint = settings.get('blobendpoint') ?? local ?? `${protocol}://${account}.blob.${suffix}`;
  return `${endpoint.replace(/\/+$/, '')}/${container}`;
}
