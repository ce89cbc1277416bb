import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { DiscardingStore } from './DiscardingStore.js';
import { PeerProcess } from './PeerProcess.js';
import type { RunningSubject, Subject } from './Subject.js';

const present = (): null => null;

/** A relay as one writes it in an afternoon. */
export const wsProxy: Subject = {
  name: 'ws',
  about: 'a minimal proxy on Node and `ws`, not recording',
  traffic: 'relay',
  hasRows: true,
  missing: present,
  start: async ({ core, botPort }) => await run('wsProxyProcess', [String(botPort)], core),
};

/** The same with the recording where the frames pass: JSON.parse, a Buffer and a WAV writer for each party. */
export const wsRecorder: Subject = {
  name: 'ws-recording',
  about: 'the same proxy, recording in line (JSON.parse, Buffer, `wav` writers)',
  traffic: 'relay',
  hasRows: true,
  missing: present,
  start: async ({ core, botPort, dir }) => await run('wsProxyProcess', [String(botPort), dir], core),
};

export const recordWav: Subject = {
  name: 'record-wav',
  about: "a stand-in for jambonz's api-server: one stereo stream into a `wav` writer and a multipart upload",
  traffic: 'record',
  hasRows: true,
  missing: present,
  start: async ({ core }) => await recorder('wav', core),
};

export const recordMp3: Subject = {
  name: 'record-mp3',
  about: 'the same stand-in with MP3 (@jambonz/lamejs, 128 kbit/s)',
  traffic: 'record',
  hasRows: true,
  missing: () => {
    try {
      createRequire(import.meta.url).resolve('@jambonz/lamejs');
      return null;
    } catch {
      return '@jambonz/lamejs is not installed (npm)';
    }
  },
  start: async ({ core }) => await recorder('mp3', core),
};

/** The store is the bench's own process, which runs on the other processor and isn't counted. */
async function recorder(format: 'wav' | 'mp3', core: number): Promise<RunningSubject> {
  const store = await DiscardingStore.open();
  const peer = await run('recorderProcess', [store.endpoint, format], core);
  const stop = peer.stop.bind(peer);
  peer.stop = async () => {
    await stop();
    await store.close();
  };
  return peer;
}

async function run(module: string, words: readonly string[], core: number): Promise<PeerProcess> {
  const path = fileURLToPath(new URL(`./${module}.js`, import.meta.url));
  return await PeerProcess.module(path, words, core);
}
