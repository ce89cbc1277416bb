import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readPrompts } from '../audio/Prompt.js';
import type { Config } from '../config/Config.js';
import { type ConfigFlags, loadConfig } from '../config/load.js';
import { signingKeyIn } from '../spool/ManifestSignature.js';
import { Keyring } from './api/Keyring.js';

/** What the configuration says and what is made of it; a reload changes all of it at once, or nothing. */
export class ConfigInForce {
  readonly #flags: ConfigFlags;
  /** Where none is configured. */
  readonly #ownLinkKey: Uint8Array;
  #config: Config;
  #keyring: Keyring;
  #signingKey: KeyObject | null;

  private constructor(flags: ConfigFlags, config: Config, ownLinkKey: Uint8Array) {
    this.#flags = flags;
    this.#ownLinkKey = ownLinkKey;
    this.#config = config;
    this.#signingKey = signingKeyOf(config);
    this.#keyring = new Keyring(config);
  }

  /**
   * @param config - what is in force already; null: it is read
   * @param ownLinkKey - signs links and cookies where no secret is configured; the same for each successor of this thread, at least 32 bytes
   * @throws ReelayError `config_invalid`, `config_unreadable`, or the file system's error
   */
  static async read(
    flags: ConfigFlags,
    config: Config | null,
    ownLinkKey: Uint8Array,
  ): Promise<ConfigInForce> {
    return new ConfigInForce(flags, config ?? (await whole(flags)), ownLinkKey);
  }

  get config(): Config {
    return this.#config;
  }

  get keyring(): Keyring {
    return this.#keyring;
  }

  /** Signs manifests; null: they go unsigned. */
  get signingKey(): KeyObject | null {
    return this.#signingKey;
  }

  /** Signs links by which recordings are shared and cookies of browsers that are signed in, at least 32 bytes. */
  get linkKey(): Buffer {
    const { linkSecret } = this.#config.control;
    return linkSecret === null ? Buffer.from(this.#ownLinkKey) : Buffer.from(linkSecret);
  }

  /** What was in force stays so when it throws. @throws ReelayError `config_invalid`, `config_unreadable`, or the file system's error */
  async reload(): Promise<void> {
    const config = await whole(this.#flags);
    this.#signingKey = signingKeyOf(config);
    this.#config = config;
    this.#keyring = new Keyring(config);
  }
}

/** With what its files hold that is played to callers. */
async function whole(flags: ConfigFlags): Promise<Config> {
  const config = loadConfig(flags);
  return { ...config, prompts: await readPrompts(config.prompts) };
}

function signingKeyOf({ recording }: Config): KeyObject | null {
  const { signingKeyFile } = recording;
  return signingKeyFile === null ? null : signingKeyIn(readFileSync(signingKeyFile, 'utf8'));
}
