import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);

/**
 * What the addon of `native/` exports.
 *
 * @throws Error when it isn't built, or was built for another machine
 */
export function loadAddon(): Readonly<Record<string, unknown>> {
  return require(join(packageRoot(), 'native', 'build', 'Release', 'reelay.node')) as Record<string, unknown>;
}

/** The compiled file lies at different depths in the package and in a test build, so the root is looked for. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (nameAt(folder) !== 'reelay') {
    if (dirname(folder) === folder) throw new Error('no package.json named reelay above this file');
    folder = dirname(folder);
  }
  return folder;
}

function nameAt(folder: string): unknown {
  try {
    return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: unknown }).name;
  } catch {
    return undefined;
  }
}
