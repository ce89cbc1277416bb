import t from 'tap';
import type { S3StoreConfig } from '../../src/config/Config.js';
import { S3Store } from '../../src/storage/S3Store.js';
import { S3Server } from './fixtures/S3Server.js';
import { storeSuite } from './fixtures/storeSuite.js';

const keys = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret/+=' };

function configFor(server: { readonly endpoint: string }, more: Partial<S3StoreConfig> = {}): S3StoreConfig {
  return {
    type: 's3',
    bucket: 'calls',
    region: null,
    endpoint: server.endpoint,
    prefix: 'some/prefix',
    pathStyle: true,
    credentials: { ...keys, sessionToken: null },
    storageClass: null,
    encryption: null,
    tags: {},
    ...more,
  };
}

for (const checksums of [true, false])
  await t.test(`an S3 store ${checksums ? 'that gives checksums back' : 'that knows none'}`, async (t) => {
    const server = await S3Server.start({ buckets: [{ name: 'calls', ...keys }], checksums, pageSize: 3 });
    t.teardown(() => server.close());
    const credentials = { accessKeyId: 'AKIANOBODY', secretAccessKey: 'x', sessionToken: null };
    const store = new S3Store(configFor(server));
    t.teardown(() => store.close());
    await storeSuite(t, {
      store,
      wrongKey: new S3Store(configFor(server, { credentials })),
      missingPlace: new S3Store(configFor(server, { bucket: 'nowhere' })),
    });
    t.ok((await server.keys('calls')).every((key) => key.startsWith('some/prefix/')));
    t.strictSame(server.openUploads('calls'), []);
  });
