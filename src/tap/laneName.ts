import { createHash } from 'node:crypto';

/** Longest name of a lane, characters. */
export const maxLaneName = 40;

/** What a lane is called is part of the names of its files. */
const wellFormed = /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/;
/** Names that the layout of a recording's folder has another use for; `mix` is what the API calls all of them together. */
const reserved: readonly string[] = ['audio', 'whole', 'manifest', 'metadata', 'upload', 'portal', 'mix'];
/** The source that needs no mention. */
const usualSource = 'microphone';
const suffixDigits = 4;
/** With each visit a participant may have another identity, and so another lane. */
const laneTurns = 20;

/** Whether a lane may have this name: `[a-z0-9-]`, at most {@link maxLaneName}, no hyphen at either end, none that is reserved. */
export function isLaneName(name: string): boolean {
  return wellFormed.test(name) && !reserved.includes(name);
}

/**
 * The file-safe name of a participant's track: the identity in `[a-z0-9-]`, and the source where that isn't the microphone. Where that
 * loses anything of either, or gives a name that isn't free, four hexadecimal digits of their hash follow.
 *
 * @param isFree - whether no other lane of the room has a name
 */
export function laneName(
  identity: string,
  source: string,
  isFree: (name: string) => boolean = () => true,
): string {
  const written = source === usualSource ? identity : `${identity}-${source.replaceAll('_', '-')}`;
  const safe = written
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  if (safe === written && isLaneName(safe) && isFree(safe)) return safe;
  for (let turn = 0; ; turn++) {
    const hashed = [identity, source, ...(turn === 0 ? [] : [String(turn)])].join('\0');
    const suffix = createHash('sha256').update(hashed).digest('hex').slice(0, suffixDigits);
    const kept = safe.slice(0, maxLaneName - suffixDigits - 1).replace(/-+$/, '');
    const name = kept === '' ? suffix : `${kept}-${suffix}`;
    if (isLaneName(name) && isFree(name)) return name;
  }
}

/** The lanes of one room: the same identity and source always has the same name, and no two have one. */
export class LaneNames {
  readonly #names = new Map<string, string>();
  readonly #taken = new Set<string>();

  get size(): number {
    return this.#names.size;
  }

  /** @param atOnce - lanes that the room may have at a time; over the whole recording there may be {@link laneTurns} times as many */
  mayName(identity: string, source: string, atOnce: number): boolean {
    return this.size < laneTurns * atOnce || this.#names.has(keyOf(identity, source));
  }

  /** @param source - as {@link laneName} has it */
  of(identity: string, source: string): string {
    const key = keyOf(identity, source);
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = laneName(identity, source, (each) => !this.#taken.has(each));
    this.#names.set(key, name);
    this.#taken.add(name);
    return name;
  }
}

function keyOf(identity: string, source: string): string {
  return JSON.stringify([identity, source]);
}
