import { Command, Option } from 'commander';
import { apiKeyOf, digestText, freshKey, keyScopes } from '../config/ApiKey.js';

interface KeyOptions {
  readonly name?: string;
  readonly scopes: readonly string[];
}

/** `reelay key`: makes a key of the control port, shows it once, and says what the configuration needs instead of it. */
export function keyCommand(): Command {
  return new Command('key')
    .description('Makes a key for the control port, and the digest of it that goes into the configuration.')
    .addOption(new Option('--name <name>', 'who will have it, for the audit log'))
    .addOption(
      new Option('--scopes <scopes...>', 'what it may be used for')
        .choices(keyScopes)
        .default([...keyScopes]),
    )
    .action(({ name, scopes }: KeyOptions, command: Command) => {
      const key = freshKey();
      const kept = apiKeyOf({ key, scopes, ...(name === undefined ? {} : { name }) });
      if (kept === undefined)
        command.error(`--name is "${name}"; give at most 64 letters, digits, spaces and . _ : @ -`);
      const entry = { key: digestText(kept), name: kept.name, scopes: kept.scopes };
      console.log(`key, shown this once:  ${key}`);
      console.log(`for apiKeys or adminKeys in the configuration:`);
      console.log(`  - { key: "${entry.key}", name: "${entry.name}", scopes: [${entry.scopes.join(', ')}] }`);
    });
}
