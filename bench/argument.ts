/**
 * A number of the command line, `name=value`.
 *
 * @throws RangeError for anything but a positive whole number
 */
export function argument(name: string, otherwise: number): number {
  const text = process.argv.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1);
  const value = text === undefined ? otherwise : Number(text);
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`${name} must be a positive whole number`);
  return value;
}
