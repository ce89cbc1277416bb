import { createRequire } from 'node:module';

/** Of this package, as semantic versions go. */
export const { version } = createRequire(import.meta.url)('reelay/package.json') as {
  readonly version: string;
};
