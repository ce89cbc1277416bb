import type { S3StoreConfig, StoreConfig } from './Config.js';
import type { Environment } from './environment.js';
import { storeSchema } from './storeSchema.js';
import { text } from './scalar.js';

/** Whether a word of the command line is the URL of a bucket. */
export function isBucketUrl(text: string): boolean {
  return /^s3:\/\//i.test(text);
}

/**
 * The store that `s3://bucket/prefix` names. Everything else about it is what the AWS command line takes from its environment:
 * region, endpoint, and credentials by the SDK's default chain.
 *
 * @returns the store, or what is wrong, as the end of the sentence "it is …;"
 */
export function bucketStore(
  url: string,
  environment: Environment,
): { readonly store: S3StoreConfig } | { readonly problem: string } {
  const [, bucket = '', prefix = ''] = /^s3:\/\/([^/]*)(?:\/(.*))?$/i.exec(url) ?? [];
  const named = (...names: string[]) =>
    names.map((name) => environment[name]).find((value) => value !== undefined && value !== '');
  const result = storeSchema(() => text('a path')).safeParse({
    type: 's3',
    bucket,
    prefix,
    region: named('AWS_REGION', 'AWS_DEFAULT_REGION') ?? null,
    endpoint: named('AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL') ?? null,
  });
  if (result.success) return { store: s3Of(result.data) };
  const problems = result.error.issues.map(({ path, message }) => `its ${sourceOf(path[0])} ${message}`);
  return { problem: problems.join('; ') };
}

function s3Of(store: StoreConfig): S3StoreConfig {
  if (store.type !== 's3') throw new TypeError(`a store of type ${store.type} for an s3:// URL`);
  return store;
}

function sourceOf(key: PropertyKey | undefined): string {
  if (key === 'region') return 'region (AWS_REGION)';
  return key === 'endpoint' ? 'endpoint (AWS_ENDPOINT_URL)' : String(key);
}
