import type { Scene } from './Scene.js';

export type Arm = 'calm' | 'fault';

/** One row of the table: something that goes wrong, in windows that alternate with calm ones. */
export interface Fault {
  readonly name: string;
  /** The daemon and surroundings that it takes. */
  readonly setting: SettingName;
  /**
   * Whether recordings may have gaps: `dropped_by_reelay` where audio found no room, and then only if the daemon counted drops. Default:
   * none.
   */
  readonly mayDrop?: boolean;
  /** Once, before the row's calls. */
  prepare?(scene: Scene): Promise<void>;
  /** Around every window, calm or not: what must be there in both so that they differ in the fault alone. */
  before?(scene: Scene, arm: Arm): Promise<void>;
  after?(scene: Scene, arm: Arm): Promise<void>;
  /** Begins the fault; it lasts until {@link end}. */
  begin(scene: Scene, windowMs: number): Promise<void>;
  /** Ends it, and resolves when the daemon is itself again. */
  end(scene: Scene): Promise<void>;
  /**
   * Once, after the row's calls hung up.
   *
   * @returns what shows that the fault really happened
   * @throws Error when it didn't, or when something of the fault's own went wrong
   */
  evidence(scene: Scene): Promise<string>;
}

export type SettingName = 'plain' | 'faulty disk' | 'small disk' | 'small disk and ring' | 'store' | 'log';
