/** Mean square of samples at full scale, against which levels are told. */
const fullScale = 32_768 ** 2;

/** @param dbfs - level, 0 for a square wave at full scale */
export function meanSquareOf(dbfs: number): number {
  return fullScale * 10 ** (dbfs / 10);
}

/** dBFS of a mean square; -Infinity of silence. */
export function dbfsOf(meanSquare: number): number {
  return 10 * Math.log10(meanSquare / fullScale);
}
