/** Whether a value is one key of a telephone: 0-9, *, #, or one of the fourth column, A-D (ITU-T Q.23). */
export function isDigit(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9*#A-D]$/.test(value);
}
