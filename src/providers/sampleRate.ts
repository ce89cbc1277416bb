/** Whether a number is a rate that audio can have: whole Hz from 4000 to 192 000. */
export function isSampleRate(hz: number): boolean {
  return Number.isInteger(hz) && hz >= 4000 && hz <= 192_000;
}
