import type { Catalogue } from './Catalogue.js';
import { MemoryCatalogue } from './MemoryCatalogue.js';
import { PostgresDatabase } from './PostgresDatabase.js';
import { SqlCatalogue } from './SqlCatalogue.js';
import { SqliteDatabase } from './SqliteDatabase.js';

/**
 * The catalogue that a configuration names; it isn't open yet.
 *
 * @param url - `memory:`, `sqlite:` and an absolute path, or `postgres://…`
 * @param setAside - told of a file that could not be read, and where it was moved to
 */
export function catalogueAt(
  url: string,
  setAside: (path: string, error: unknown) => void = () => undefined,
): Catalogue {
  if (url === 'memory:') return new MemoryCatalogue();
  if (!url.startsWith('sqlite:')) return new SqlCatalogue(new PostgresDatabase(url));
  return new SqlCatalogue(new SqliteDatabase(url.slice('sqlite:'.length), setAside));
}
