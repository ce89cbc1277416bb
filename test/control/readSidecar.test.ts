import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { readSidecar } from '../../src/control/library/readSidecar.js';
import { fabricateRecording } from '../fixtures/recording.js';
import { whereaboutsIn } from './fixtures/recordedAudio.js';

for (const place of ['spool', 'recordings'])
  await t.test(`a sidecar is read from ${place}, and a file that can’t be one isn’t`, async (t) => {
    const dir = t.testdir({ spool: {}, recordings: {} });
    const recording = await fabricateRecording(join(dir, place), { state: 'uploading', samplesPerChunk: 8 });
    const where = whereaboutsIn(dir, recording);
    const { recordingId } = recording.manifest;
    const said = JSON.parse((await readSidecar(where, 1)) ?? '{}') as unknown;
    t.match(said, { index: 1, recordingId });
    t.equal(await readSidecar(where, 9), null);
    const path = join(recording.folder, '1-metadata.json');
    await writeFile(path, ' '.repeat(2 ** 20 + 1));
    t.equal(await readSidecar(where, 1), null, 'over a megabyte');
    await rm(path);
    t.equal(await readSidecar(where, 1), null);
  });
