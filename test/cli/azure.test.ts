import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import t from 'tap';
import { runMerge } from '../../src/cli/merge.js';
import { runVerify } from '../../src/cli/verify.js';
import { AzureStore } from '../../src/storage/AzureStore.js';
import { fabricateRecording, wavOf } from '../fixtures/recording.js';
import { AzureServer } from '../storage/fixtures/AzureServer.js';

const server = await AzureServer.start({ containers: ['calls'] });
t.teardown(() => server.close());

await t.test(
  'a recording in a container is checked and merged by its id and the configuration',
  async (t) => {
    const dir = t.testdir({ blobs: {} });
    const store = {
      type: 'azure',
      container: 'calls',
      prefix: 'voice',
      connectionString: server.connectionString,
    } as const;
    const { manifest, pcm } = await fabricateRecording(join(dir, 'blobs'), {
      accountId: 'AC1',
      layout: 'both',
    });
    await upload(join(dir, 'blobs'), new AzureStore({ ...store, sasUrl: null }));
    const config = join(dir, 'reelay.json');
    await writeFile(config, JSON.stringify({ accounts: [{ id: 'AC1', store }] }));
    let said = '';
    const write = (text: string) => (said += text);
    t.equal(await runVerify(manifest.recordingId, { config }, { write }, { write }), 0, said);
    t.match(said, /complete .* whole\n$/);
    const output = join(dir, 'merged.wav');
    t.equal(await runMerge(manifest.callId, { config, output }, { write }, { write }), 0, said);
    t.ok((await readFile(output)).equals(wavOf(pcm, 8000, 2)));
    t.equal(await runVerify('no-such-id', { config }, { write }, { write }), 2);
    t.match(said, /recording_unknown: .*calls\/voice/);
    t.notMatch(said, 'AccountKey');
  },
);

async function upload(dir: string, store: AzureStore): Promise<void> {
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const sha256 = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
    await store.put(relative(dir, file), file, { sha256 });
  }
}
