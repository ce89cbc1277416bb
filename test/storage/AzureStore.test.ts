import t from 'tap';
import type { AzureStoreConfig } from '../../src/config/Config.js';
import { AzureStore } from '../../src/storage/AzureStore.js';
import { AzureServer } from './fixtures/AzureServer.js';
import { storeSuite } from './fixtures/storeSuite.js';

const server = await AzureServer.start({ containers: ['calls', 'others'] });
t.teardown(() => server.close());

function configFor(more: Partial<AzureStoreConfig> = {}): AzureStoreConfig {
  const { connectionString } = server;
  return {
    type: 'azure',
    container: 'calls',
    connectionString,
    sasUrl: null,
    prefix: 'some/prefix',
    ...more,
  };
}

await t.test('an Azure store', async (t) => {
  const connectionString = server.connectionWith(Buffer.from('another key').toString('base64'));
  await storeSuite(t, {
    store: new AzureStore(configFor()),
    wrongKey: new AzureStore(configFor({ connectionString })),
    missingPlace: new AzureStore(configFor({ container: 'nowhere' })),
  });
  t.ok((await server.keys('calls')).every((key) => key.startsWith('some/prefix/')));
});
