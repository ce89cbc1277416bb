/**
 * A number of the command line, `name=value`.
 *
 * @param place - the number may also stand there without its name, counted from 0
 * @throws RangeError for anything but a positive whole number
 */
export function argument(name: string, otherwise: number, place?: number): number {
  const given = process.argv.slice(2);
  const bare = place === undefined ? undefined : given.filter((each) => !each.includes('='))[place];
  const text = given.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1) ?? bare;
  const value = text === undefined ? otherwise : Number(text);
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`${name} must be a positive whole number`);
  return value;
}
