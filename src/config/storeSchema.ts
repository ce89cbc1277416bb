import { z } from 'zod';
import type { AzureStoreConfig, FileStoreConfig, S3StoreConfig, StoreConfig } from './Config.js';
import { closed } from './section.js';
import { endpointUrl, scalar, secretText, text, yesOrNo } from './scalar.js';

/**
 * An account's `store`. Its `type` decides which other keys there are.
 *
 * @param path - reads a path to a folder
 */
export function storeSchema(path: () => z.ZodType<string>) {
  const kinds: Readonly<Record<string, z.ZodType<StoreConfig>>> = {
    file: file(path),
    s3: s3(),
    azure: azure(),
  };
  return z.looseObject(everyKey(), { error: mustBeStore }).transform((value, context): StoreConfig => {
    const kind = typeof value.type === 'string' ? kinds[value.type] : undefined;
    if (kind === undefined) {
      const expected = `must be one of ${Object.keys(kinds).join(', ')}`;
      const message = value.type === undefined ? `is missing; it ${expected}` : expected;
      context.issues.push({ code: 'custom', path: ['type'], message, input: value.type });
      return z.NEVER;
    }
    // A key that an environment variable or a caller left undefined was not given.
    const given = Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined));
    const result = kind.safeParse(given, { reportInput: true });
    if (result.success) return result.data;
    for (const issue of result.error.issues) context.issues.push({ ...issue, input: issue.input } as never);
    return z.NEVER;
  });
}

const mustBeStore =
  'must be a store, for example { type: file, dir: ./recordings } or { type: s3, bucket: b }';

/** The keys of all kinds, unread: each of them has an environment variable. */
function everyKey() {
  const unread = z.unknown().optional();
  const keys = Object.keys({ ...s3Keys(), ...azureKeys() });
  return { type: unread, dir: unread, ...Object.fromEntries(keys.map((key) => [key, unread])) };
}

function file(path: () => z.ZodType<string>): z.ZodType<FileStoreConfig> {
  return closed({ type: z.literal('file'), dir: path() });
}

function s3Keys() {
  return {
    bucket: bucketName(),
    region: scalar('the name of a region, for example eu-west-1', matching(/^[A-Za-z0-9-]{1,64}$/))
      .nullable()
      .default(null),
    endpoint: endpointUrl().nullable().default(null),
    prefix: prefix().default(''),
    pathStyle: yesOrNo().nullable().default(null),
    accessKeyId: text('an access key id, not empty').nullable().default(null),
    secretAccessKey: secretText().nullable().default(null),
    sessionToken: secretText().nullable().default(null),
    storageClass: storageClass().nullable().default(null),
    encryption: encryption().nullable().default(null),
    tags: tags().default({}),
  };
}

function s3(): z.ZodType<S3StoreConfig> {
  return closed({ type: z.literal('s3'), ...s3Keys() }).transform(
    ({ accessKeyId, secretAccessKey, sessionToken, pathStyle, ...rest }, context): S3StoreConfig => {
      const missing = missingCredential({ accessKeyId, secretAccessKey, sessionToken });
      if (missing !== undefined) {
        const message = 'is missing; accessKeyId and secretAccessKey go together';
        context.issues.push({ code: 'custom', path: [missing], message, input: undefined });
      }
      const isGiven = accessKeyId !== null && secretAccessKey !== null;
      return {
        ...rest,
        pathStyle: pathStyle ?? rest.endpoint !== null,
        credentials: isGiven ? { accessKeyId, secretAccessKey, sessionToken } : null,
      };
    },
  );
}

function missingCredential(given: Readonly<Record<string, string | null>>): string | undefined {
  const isAny = Object.values(given).some((each) => each !== null);
  return isAny ? ['accessKeyId', 'secretAccessKey'].find((name) => given[name] === null) : undefined;
}

function azureKeys() {
  return {
    container: containerName(),
    connectionString: connectionString().nullable().default(null),
    sasUrl: sasUrl().nullable().default(null),
    prefix: prefix().default(''),
  };
}

function azure(): z.ZodType<AzureStoreConfig> {
  return closed({ type: z.literal('azure'), ...azureKeys() }).transform((store, context) => {
    if ((store.connectionString === null) === (store.sasUrl === null)) {
      const message = 'needs either a connectionString or a sasUrl, and not both';
      context.issues.push({ code: 'custom', message, input: undefined });
    }
    return store;
  });
}

/** Amazon S3 User Guide, "General purpose bucket naming rules"; a path in it would go to another bucket. */
function bucketName() {
  const expected =
    'the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens, beginning and ending with a letter or digit (an access point by its alias)';
  return scalar(expected, (value) => {
    const name = matching(/^[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]$/)(value);
    return name !== undefined && !/^[\d.]+$/.test(name) ? name : undefined;
  });
}

/** Azure, "Naming and referencing containers, blobs, and metadata". */
function containerName() {
  const expected =
    'the name of a container: 3 to 63 lower-case letters, digits and single hyphens, beginning and ending with a letter or digit';
  return scalar(expected, matching(/^(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*$/));
}

/** The characters of a safe object key; slashes at the ends mean nothing and are dropped. */
function prefix() {
  const expected =
    'a prefix such as calls/eu of letters, digits and ! _ . = @ : + , - with single slashes between, at most 512 characters, no part of it . or ..';
  return scalar(expected, (value) => {
    if (typeof value !== 'string' || value.length > 512) return undefined;
    const plain = value.replace(/^\/|\/$/g, '');
    const isPlain = (part: string) => /^[A-Za-z0-9!_.=@:+,-]+$/.test(part) && !/^\.\.?$/.test(part);
    return plain === '' || plain.split('/').every(isPlain) ? plain : undefined;
  });
}

/** What has to be thawed for hours before it can be read could be neither played nor checked. */
function storageClass() {
  const expected =
    'a storage class that can be read at once, for example STANDARD_IA or GLACIER_IR; for GLACIER and DEEP_ARCHIVE give the bucket a lifecycle rule';
  return scalar(expected, matching(/^(?!(?:GLACIER|DEEP_ARCHIVE)$)[A-Z][A-Z0-9_]{0,63}$/));
}

function encryption() {
  const expected = 'sse-s3, sse-kms, or { type: sse-kms, kmsKeyId: … }';
  return scalar(expected, (value): NonNullable<S3StoreConfig['encryption']> | undefined => {
    const given: unknown = typeof value === 'string' ? { type: value } : value;
    if (typeof given !== 'object' || given === null) return undefined;
    const { type, kmsKeyId = null, ...others } = given as Record<string, unknown>;
    if (Object.keys(others).length > 0) return undefined;
    if (type === 'sse-s3') return kmsKeyId === null ? { type } : undefined;
    if (type !== 'sse-kms') return undefined;
    if (kmsKeyId === null) return { type, kmsKeyId };
    return typeof kmsKeyId === 'string' && /^\S+$/.test(kmsKeyId) ? { type, kmsKeyId } : undefined;
  });
}

/** Amazon S3 User Guide, "Categorizing your storage using tags". */
function tags() {
  const expected =
    'at most ten tags { name: value } of letters, digits, spaces and + - = . _ : / @, names up to 128 characters and not beginning with aws:, values up to 256';
  return scalar(expected, (value): Readonly<Record<string, string>> | undefined => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const entries = Object.entries(value as Record<string, unknown>);
    if (entries.length > 10) return undefined;
    const isName = (name: string) => /^(?!aws:)[\p{L}\p{N} +\-=._:/@]{1,128}$/u.test(name);
    const isValue = (each: unknown) =>
      ['string', 'number', 'boolean'].includes(typeof each) &&
      /^[\p{L}\p{N} +\-=._:/@]{0,256}$/u.test(String(each));
    if (!entries.every(([name, each]) => isName(name) && isValue(each))) return undefined;
    return Object.fromEntries(entries.map(([name, each]) => [name, String(each)]));
  });
}

function connectionString() {
  const expected =
    'a connection string of the storage account with AccountName and AccountKey, or BlobEndpoint and SharedAccessSignature';
  return scalar(expected, (value) => {
    if (typeof value !== 'string') return undefined;
    const isUsable =
      /(?:^|;)\s*UseDevelopmentStorage=true/i.test(value) ||
      (/(?:^|;)\s*AccountName=[^;]/i.test(value) && /(?:^|;)\s*AccountKey=[^;]/i.test(value)) ||
      (/(?:^|;)\s*BlobEndpoint=[^;]/i.test(value) && /(?:^|;)\s*SharedAccessSignature=[^;]/i.test(value));
    return isUsable ? value : undefined;
  });
}

function sasUrl() {
  const expected = 'the https:// URL of a blob service or container with a shared access signature (sig=…)';
  return scalar(expected, (value) => {
    if (typeof value !== 'string' || !URL.canParse(value)) return undefined;
    const { protocol, searchParams } = new URL(value);
    return /^https?:$/.test(protocol) && searchParams.has('sig') ? value : undefined;
  });
}

function matching(pattern: RegExp) {
  return (value: unknown) => (typeof value === 'string' && pattern.test(value) ? value : undefined);
}
