/**
 * A number of the command line, `name=value`.
 *
 * @param place - the number may also stand there without its name, counted from 0
 * @throws RangeError for anything but a positive whole number
 */
export function argument(name: string, otherwise: number, place?: number): number {
  const given = process.argv.slice(2);
  const bare = place === undefined ? undefined : given.filter((each) => !each.includes('='))[place];
  const text = textOf(name) ?? bare;
  return text === undefined ? otherwise : positive(name, text);
}

/** Numbers separated by commas, `name=50,200`. */
export function numbers(name: string, otherwise: readonly number[]): readonly number[] {
  return (
    textOf(name)
      ?.split(',')
      .map((each) => positive(name, each)) ?? otherwise
  );
}

/**
 * Words separated by commas, `name=one,other`.
 *
 * @throws RangeError for a word that isn't among the known ones
 */
export function words<T extends string>(
  name: string,
  known: readonly T[],
  otherwise: readonly T[],
): readonly T[] {
  const text = textOf(name);
  if (text === undefined) return otherwise;
  return text.split(',').map((each) => {
    const word = known.find((one) => one === each);
    if (word === undefined) throw new RangeError(`${name} knows no ${each}, but ${known.join(', ')}`);
    return word;
  });
}

function textOf(name: string): string | undefined {
  return process.argv.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1);
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`${name} must be a positive whole number`);
  return value;
}
