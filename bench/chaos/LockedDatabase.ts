import { join } from 'node:path';
import { FileLock } from '../../src/catalogue/FileLock.js';
import { ReelayError } from '../../src/config/ReelayError.js';
import { eventually } from '../../test/acceptance/eventually.js';
import type { Fault } from './Fault.js';
import type { Scene } from './Scene.js';

/**
 * The control thread is replaced, and finds its database in somebody else's hands: lists are refused, and what is to be written waits
 * until the window ends.
 */
export class LockedDatabase implements Fault {
  readonly name = 'database-locked';
  readonly setting = 'plain';
  #lock: FileLock | null = null;
  #windows = 0;

  async begin(scene: Scene): Promise<void> {
    // The thread that goes gives it back, and its successor wants it again soon after.
    this.#lock = await eventually('the database can be taken', async () => {
      await scene.daemon.fault('control', 'exit').catch(() => undefined);
      return await taken(join(scene.daemon.dir, 'reelay.db'));
    });
    await scene.allReady();
    if ((await listed(scene)) !== 503) throw new Error('recordings were listed without a database');
    this.#windows += 1;
  }

  async end(scene: Scene): Promise<void> {
    await this.#lock?.release();
    this.#lock = null;
    await eventually('recordings are listed', async () => (await listed(scene)) === 200 || undefined);
    await scene.allReady();
  }

  evidence(): Promise<string> {
    if (this.#windows === 0) throw new Error('the database was never locked');
    return Promise.resolve(`no list could be had in ${this.#windows} windows`);
  }
}

const patienceMs = 400;

/** Undefined when somebody had it all the time. */
async function taken(path: string): Promise<FileLock | undefined> {
  const untilMs = performance.now() + patienceMs;
  while (performance.now() < untilMs) {
    try {
      return await FileLock.take(path);
    } catch (error) {
      if (!(error instanceof ReelayError) || error.code !== 'catalogue_locked') throw error;
    }
  }
  return undefined;
}

async function listed(scene: Scene): Promise<number> {
  const response = await scene.daemon.get('/v1/recordings?limit=1');
  await response.body?.cancel();
  return response.status;
}
