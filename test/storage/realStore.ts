/* Runs the suite of stores against whatever S3 server the environment names; fails when it names none. */
import { randomUUID } from 'node:crypto';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import t from 'tap';
import type { S3StoreConfig } from '../../src/config/Config.js';
import { S3Store } from '../../src/storage/S3Store.js';
import { storeSuite } from './fixtures/storeSuite.js';

process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';

function needed(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set`);
  return value;
}

const endpoint = needed('REELAY_S3_ENDPOINT');
const accessKeyId = needed('REELAY_S3_ACCESS_KEY');
const secretAccessKey = needed('REELAY_S3_SECRET_KEY');
const region = process.env['REELAY_S3_REGION'] ?? 'us-east-1';
const bucket = process.env['REELAY_S3_BUCKET'] ?? `reelay-${randomUUID()}`;

const config: S3StoreConfig = {
  type: 's3',
  bucket,
  region,
  endpoint,
  prefix: 'suite',
  pathStyle: true,
  credentials: { accessKeyId, secretAccessKey, sessionToken: null },
  storageClass: null,
  encryption: null,
  tags: {},
};

await t.test(`the S3 server at ${endpoint}`, async (t) => {
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
  if (process.env['REELAY_S3_BUCKET'] === undefined)
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
  const nobody = { accessKeyId: 'AKIANOBODY', secretAccessKey: 'x', sessionToken: null };
  const store = new S3Store(config);
  t.teardown(() => store.close());
  await storeSuite(t, {
    store,
    wrongKey: new S3Store({ ...config, credentials: nobody }),
    missingPlace: new S3Store({ ...config, bucket: `reelay-none-${randomUUID()}` }),
  });
});
