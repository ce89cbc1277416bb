import type { Fault } from './Fault.js';
import type { Scene } from './Scene.js';

const accounts = 300;
const everyMs = 250;

/** SIGHUP four times a second, with some hundred accounts that are never quite the same. */
export class ReloadStorm implements Fault {
  readonly name = 'reload';
  readonly setting = 'plain';
  #timer: NodeJS.Timeout | undefined;
  #asked = 0;
  #inForce = 0;

  begin(scene: Scene): Promise<void> {
    this.#inForce -= inForce(scene);
    this.#timer = setInterval(() => {
      this.#asked += 1;
      configure(scene, accounts + (this.#asked % 2));
      scene.daemon.reload();
    }, everyMs);
    return Promise.resolve();
  }

  async end(scene: Scene): Promise<void> {
    clearInterval(this.#timer);
    await scene.allReady();
    this.#inForce += inForce(scene);
  }

  evidence(scene: Scene): Promise<string> {
    scene.daemon.configure(scene.accounts);
    scene.daemon.reload();
    if (this.#inForce === 0) throw new Error(`${this.#asked} signals, and no configuration came into force`);
    return Promise.resolve(`${this.#inForce} configurations of ${accounts} accounts came into force`);
  }
}

function configure({ daemon, accounts: own }: Scene, count: number): void {
  const [first] = own;
  const others = Array.from({ length: count }, (_none, at) => ({ ...first, id: `other-${at}` }));
  daemon.configure([...own, ...others]);
}

function inForce({ daemon }: Scene): number {
  return daemon.logs.filter(({ msg }) => msg === 'the configuration is in force').length;
}
