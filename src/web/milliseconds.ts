/** Two digits are all that the histogram tells. */
export function milliseconds(ms: number): string {
  return `${Number(ms.toPrecision(2))} ms`;
}
