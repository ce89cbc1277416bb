import type { Fault } from './Fault.js';
import type { Scene } from './Scene.js';

/** The spool's file system has no room left. */
export class FullDisk implements Fault {
  readonly name: string;
  readonly setting: 'small disk' | 'small disk and ring';
  readonly mayDrop = true;
  #least = Infinity;
  #complaintsBefore = 0;

  /** @param withRing - the ring is so small that it fills, too */
  constructor(withRing: boolean) {
    this.name = withRing ? 'disk-and-ring-full' : 'disk-full';
    this.setting = withRing ? 'small disk and ring' : 'small disk';
  }

  prepare({ daemon }: Scene): Promise<void> {
    this.#complaintsBefore = complaints(daemon);
    return Promise.resolve();
  }

  begin({ smallDisk }: Scene): Promise<void> {
    smallDisk?.fill();
    return Promise.resolve();
  }

  async end(scene: Scene): Promise<void> {
    this.#least = Math.min(this.#least, scene.smallDisk?.freeBytes ?? Infinity);
    scene.smallDisk?.makeRoom();
    await scene.allReady();
  }

  evidence({ daemon }: Scene): Promise<string> {
    const times = complaints(daemon) - this.#complaintsBefore;
    if (times === 0) throw new Error(`the daemon had no trouble; ${this.#least} bytes were free`);
    return Promise.resolve(`${times} complaints of the daemon, down to ${this.#least} free bytes`);
  }
}

function complaints({ logs }: Scene['daemon']): number {
  return logs.filter((line) => line['code'] === 'spool_unwritable').length;
}
