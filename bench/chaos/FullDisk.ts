import type { LogLine } from '../../test/acceptance/DaemonProcess.js';
import { eventually } from '../../test/acceptance/eventually.js';
import type { Fault } from './Fault.js';
import type { Scene } from './Scene.js';

const dropsMetric = 'reelay_tap_dropped_frames_total';

/** The spool's file system has no room left. */
export class FullDisk implements Fault {
  readonly name: string;
  readonly setting: 'small disk' | 'small disk and ring';
  readonly mayDrop: boolean;
  #windows = 0;
  #toldBefore = 0;
  #dropsBefore = 0;

  /** @param withRing - the ring is so small that it fills, too */
  constructor(withRing: boolean) {
    this.name = withRing ? 'disk-and-ring-full' : 'disk-full';
    this.mayDrop = withRing;
    this.setting = withRing ? 'small disk and ring' : 'small disk';
  }

  async begin({ smallDisk, daemon }: Scene): Promise<void> {
    this.#dropsBefore = await daemon.metric(dropsMetric);
    this.#toldBefore = told(daemon, isTrouble);
    smallDisk?.fill();
  }

  /** The daemon tells of trouble that lasts, and of its end. */
  async end(scene: Scene): Promise<void> {
    const { daemon, smallDisk } = scene;
    await eventually(
      'the daemon tells that its disk is full',
      () => told(daemon, isTrouble) > this.#toldBefore,
    );
    if (this.mayDrop) await dropped(daemon, this.#dropsBefore);
    smallDisk?.makeRoom();
    await eventually('the daemon tells that there is room', () => isRoomSaidLast(daemon));
    await scene.allReady();
    this.#windows += 1;
  }

  evidence(): Promise<string> {
    const ring = this.mayDrop ? ', and the ring was full, too' : '';
    return Promise.resolve(`the daemon told of a full disk in ${this.#windows} windows${ring}`);
  }
}

/** Of the disk as a whole: single recordings are refused before it is known that the trouble lasts. */
const isTrouble = (line: LogLine): boolean =>
  line['code'] === 'spool_unwritable' && line['thread'] === 'recorder' && line['recordingId'] === undefined;
const isOver = (line: LogLine): boolean => line.msg === 'the spool accepts audio again';

/** It may have found room already: what it has stored is gone from its disk a moment before that is filled again. */
function isRoomSaidLast({ logs }: Scene['daemon']): boolean {
  const last = logs.findLast((line) => isTrouble(line) || isOver(line));
  return last !== undefined && isOver(last);
}

async function dropped(daemon: Scene['daemon'], before: number): Promise<void> {
  await eventually('the ring is full', async () => (await daemon.metric(dropsMetric)) > before, {
    everyMs: 100,
  });
}

function told({ logs }: Scene['daemon'], what: (line: LogLine) => boolean): number {
  return logs.filter(what).length;
}
