import type { FileOperation } from './FileOperation.js';

/** A moment at which the power is lost: these many operations had ended. */
export interface Moment {
  readonly done: number;
  /** What it was chosen for. */
  readonly why: string;
}

/** Steps that random moments hardly hit: by what they are called here, which operations they are. */
const steps: readonly [why: string, kind: FileOperation['kind'], name: RegExp][] = [
  ['a chunk gets its name', 'rename', /^spool\/(?!\.).*\d-audio\.wav$/],
  ['a sidecar gets its name', 'rename', /^spool\/(?!\.).*metadata\.json$/],
  ['a manifest gets its name', 'rename', /^spool\/(?!\.).*manifest\.json$/],
  ['a note of what is stored gets its name', 'rename', /upload\.json$/],
  ['a checkpoint gets its name', 'rename', /\.checkpoint$/],
  ['an object gets its name in the store', 'rename', /^recordings\/.*\.(wav|json)$/],
  ['a daemon folder moves', 'rename', /^spool\/\.reelay\/[^/]*(\/adopted\/[^/]*)?$/],
  ['a segment begins', 'open', /\.journal$/],
  ['a chunk begins', 'open', /\.open$/],
  ['a folder is made', 'mkdir', /./],
  ['a segment goes', 'unlink', /\.journal$/],
  ['a checkpoint goes', 'unlink', /\.checkpoint$/],
  ['a stored chunk goes', 'unlink', /^spool\/(?!\.).*\d-audio\.wav$/],
  ['a stored sidecar goes', 'unlink', /^spool\/(?!\.).*metadata\.json$/],
  ['a manifest goes', 'unlink', /^spool\/(?!\.).*manifest.*json$/],
  ['a note goes', 'unlink', /upload\.json$/],
  ['a folder goes', 'rmdir', /./],
  ['a part is noted in the store', 'rename', /\.note\.part$/],
  ['an upload is joined', 'rename', /^recordings\/.*\/audio\.wav$/],
];

/**
 * Half of the moments at random times, half right before and right after steps of every kind in turn.
 *
 * @param dir - the watched folder
 * @returns in order
 */
export function momentsOf(
  operations: readonly FileOperation[],
  dir: string,
  count: number,
  random: () => number,
): Moment[] {
  const [first, last] = [operations[0]?.endNs ?? 0, operations.at(-1)?.endNs ?? 0];
  const moments: Moment[] = [];
  const kinds = shuffled(placesOf(operations, dir), random);
  for (let at = 0; moments.length < count; at += 1) {
    const [why, places] = kinds[at % kinds.length] ?? ['', []];
    const place = places[Math.floor(random() * places.length)] ?? 0;
    const isAfter = random() < 0.75;
    moments.push({ done: place + (isAfter ? 1 : 0), why: `${isAfter ? 'after' : 'before'} ${why}` });
    if (moments.length === count) break;
    const atNs = first + random() * (last - first);
    const done = operations.findIndex(({ endNs }) => endNs > atNs);
    moments.push({ done, why: 'at random' });
  }
  return moments.sort((a, b) => a.done - b.done);
}

function placesOf(operations: readonly FileOperation[], dir: string): [string, number[]][] {
  const places = steps.map(([why]): [string, number[]] => [why, []]);
  for (const [at, { kind, path, data }] of operations.entries()) {
    if (path === '') continue;
    const name = (kind === 'rename' ? data.toString() : path).slice(dir.length + 1);
    for (const [index, [, wanted, pattern]] of steps.entries())
      if (kind === wanted && pattern.test(name)) places[index]?.[1].push(at);
  }
  return places.filter(([, found]) => found.length > 0);
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const order = items.map((item) => ({ item, place: random() }));
  return order.sort((a, b) => a.place - b.place).map(({ item }) => item);
}
