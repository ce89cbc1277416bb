import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The path of the speech that comes with the package: what a caller or a bot says unless told otherwise. */
export function speechFile(party: 'caller' | 'bot'): string {
  return join(packageRoot(), 'src', 'simulators', 'speech', `${party}.wav`);
}

/** This file lies at different depths in the package and in a test build, so the root is looked for. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!isRoot(folder) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

function isRoot(folder: string): boolean {
  try {
    const text = readFileSync(join(folder, 'package.json'), 'utf8');
    return (JSON.parse(text) as { readonly name?: unknown }).name === 'reelay';
  } catch {
    return false;
  }
}
