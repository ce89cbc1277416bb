import type { Fault } from './Fault.js';
import type { Scene } from './Scene.js';

/** Writes to the spool fail, or take half a second each. */
export class DiskFault implements Fault {
  readonly name: string;
  readonly setting = 'faulty disk';
  readonly mayDrop = true;
  readonly #way: 'fail' | 'slow';
  #met = 0;
  #windows = 0;

  constructor(way: 'fail' | 'slow') {
    this.name = way === 'fail' ? 'disk-eio' : 'disk-slow';
    this.#way = way;
  }

  begin({ disk }: Scene): Promise<void> {
    this.#met -= disk?.counts().met ?? 0;
    if (this.#way === 'fail') disk?.fail();
    else disk?.slow(500);
    return Promise.resolve();
  }

  async end(scene: Scene): Promise<void> {
    scene.disk?.heal();
    const met = scene.disk?.counts().met ?? 0;
    this.#met += met;
    this.#windows += 1;
    await scene.allReady();
  }

  evidence({ disk }: Scene): Promise<string> {
    const onMedia = disk?.counts().metFirst ?? 0;
    if (onMedia > 0)
      throw new Error(`the media thread itself made ${onMedia} of the writes that met the fault`);
    if (this.#met < this.#windows) throw new Error(`${this.#met} writes met the fault`);
    return Promise.resolve(`${this.#met} writes ${this.#way === 'fail' ? 'failed' : 'took 500 ms'}`);
  }
}
