/**
 * A position or a length: `0:05`, `12:05`, `1:02:05`, with decimals `0:05.25`.
 *
 * @param decimals - of the seconds; what is beyond them is cut off, so that a clock never shows a time that isn't reached yet
 */
export function formatTime(seconds: number, decimals = 0): string {
  const unit = 10 ** decimals;
  const units = Math.floor(Math.max(0, Number.isFinite(seconds) ? seconds : 0) * unit + 1e-6);
  const whole = Math.floor(units / unit);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const fraction = decimals === 0 ? '' : `.${String(units % unit).padStart(decimals, '0')}`;
  const rest = `${twoDigits(whole % 60)}${fraction}`;
  return hours > 0 ? `${hours}:${twoDigits(minutes)}:${rest}` : `${minutes}:${rest}`;
}

/** The same in words, for whoever hears the page: `1 hour 2 minutes 5 seconds`. */
export function spokenTime(seconds: number): string {
  const whole = Math.floor(Math.max(0, seconds));
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(whole / 3600), 'hour'],
    [Math.floor(whole / 60) % 60, 'minute'],
    [whole % 60, 'second'],
  ];
  const said = parts.filter(([count]) => count > 0).map(([count, unit]) => counted(count, unit));
  return said.length === 0 ? '0 seconds' : said.join(' ');
}

/** How long something takes or has been so, in its largest unit: `40 s`, `12 min`, `3.5 h`, `9 days`. */
export function roughTime(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 360) / 10} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

function twoDigits(count: number): string {
  return String(count).padStart(2, '0');
}

function counted(count: number, unit: string): string {
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}
