import { randomBytes, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Config } from '../config/Config.js';
import { type ConfigFlags, loadConfig } from '../config/load.js';
import { signingKeyIn } from '../spool/ManifestSignature.js';
import { Keyring } from './api/Keyring.js';

/** What the configuration says and what is made of it; a reload changes all of it at once, or nothing. */
export class ConfigInForce {
  readonly #flags: ConfigFlags;
  /** Where none is configured. A successor of this thread has another: links that were made before it open nothing any more. */
  readonly #ownLinkKey = randomBytes(32);
  #config: Config;
  #keyring: Keyring;
  #signingKey: KeyObject | null;

  /**
   * @param config - what is in force already; null: it is read
   * @throws ReelayError `config_invalid`, or the file system's error
   */
  constructor(flags: ConfigFlags, config: Config | null) {
    this.#flags = flags;
    this.#config = config ?? loadConfig(flags);
    this.#signingKey = signingKeyOf(this.#config);
    this.#keyring = new Keyring(this.#config);
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
    return linkSecret === null ? this.#ownLinkKey : Buffer.from(linkSecret);
  }

  /** @throws ReelayError `config_invalid`, or the file system's error; what was in force stays so then */
  reload(): void {
    const config = loadConfig(this.#flags);
    this.#signingKey = signingKeyOf(config);
    this.#config = config;
    this.#keyring = new Keyring(config);
  }
}

function signingKeyOf({ recording }: Config): KeyObject | null {
  const { signingKeyFile } = recording;
  return signingKeyFile === null ? null : signingKeyIn(readFileSync(signingKeyFile, 'utf8'));
}
