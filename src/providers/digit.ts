/**
 * Whether a value is one key of a telephone: 0-9, *, #, or one of the fourth column, A-D (ITU-T Q.23). What isn't may be several, so
 * whoever refuses it doesn't show it.
 */
export function isDigit(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9*#A-D]$/.test(value);
}
