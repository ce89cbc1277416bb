/** How many calls something holds: between the most that it held and the fewest that it didn't. */
export interface Saturation {
  /** 0: not even the fewest that were tried. */
  readonly holds: number;
  /** Null: time was over, or the most that may be tried was held. */
  readonly fails: number | null;
}

export interface Search {
  /** Where to begin. */
  readonly first: number;
  readonly least: number;
  readonly most: number;
  /** Share of the calls to which it is found. */
  readonly precision: number;
  /** @returns whether there is time for another probe */
  readonly hasTime: () => boolean;
}

/** Steps in which the two ends are looked for. */
const stride = 1.3;

/**
 * Looks for an end on either side, from a guess outwards, and halves what lies between them.
 *
 * @param probe - whether so many calls are held; it may err, and is asked about each number once
 */
export async function saturation(
  probe: (calls: number) => Promise<boolean>,
  search: Search,
): Promise<Saturation> {
  let [holds, fails]: [number, number | null] = [0, null];
  let next: number | null = clamp(search.first, search);
  while (next !== null && search.hasTime()) {
    if (await probe(next)) holds = next;
    else fails = next;
    next = nextProbe(holds, fails, search);
  }
  return { holds, fails };
}

/** @returns null when nothing is left to be asked */
function nextProbe(holds: number, fails: number | null, search: Search): number | null {
  if (fails === null) return holds >= search.most ? null : clamp(Math.ceil(holds * stride), search);
  if (holds === 0) return fails <= search.least ? null : clamp(Math.floor(fails / stride), search);
  const isClose = fails - holds <= Math.max(1, search.precision * holds);
  return isClose ? null : Math.floor((holds + fails) / 2);
}

function clamp(calls: number, { least, most }: Search): number {
  return Math.min(most, Math.max(least, Math.round(calls)));
}
