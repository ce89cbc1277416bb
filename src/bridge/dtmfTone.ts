/** Frequencies in Hz by digit: ITU-T Q.23. */
const rows = [697, 770, 852, 941] as const;
const columns = [1209, 1336, 1477, 1633] as const;
const keys = ['123A', '456B', '789C', '*0#D'] as const;
/** ITU-T Q.24 has 40 ms each as the least that is understood. */
const toneMs = 100;
const pauseMs = 60;
/** Of each of the two, -9 dBFS: together they stay below full scale. */
const amplitude = 11_600;
/** Against clicks at both ends. */
const rampMs = 3;

/** Codes of RFC 4733, section 3.2, by digit. */
const codes = '0123456789*#ABCD';

/** @returns -1 for anything but one of `0-9 * # A-D` */
export function dtmfCode(digit: string): number {
  return digit.length === 1 ? codes.indexOf(digit) : -1;
}

/**
 * A key that is pressed, as it is heard: 100 ms of two tones and 60 ms of silence.
 *
 * @param digit - one of `0-9 * # A-D`; of anything else there is nothing to hear
 * @param sampleRate - Hz
 */
export function dtmfTone(digit: string, sampleRate: number): Int16Array {
  const row = keys.findIndex((each) => digit.length === 1 && each.includes(digit));
  const low = rows[row];
  const high = columns[keys[row]?.indexOf(digit) ?? -1];
  if (low === undefined || high === undefined) return new Int16Array(0);
  const length = Math.round((toneMs * sampleRate) / 1000);
  const ramp = (rampMs * sampleRate) / 1000;
  const samples = new Int16Array(length + Math.round((pauseMs * sampleRate) / 1000));
  for (let i = 0; i < length; i++) {
    const angle = (2 * Math.PI * i) / sampleRate;
    const level = amplitude * Math.min(1, i / ramp, (length - i) / ramp);
    samples[i] = Math.round(level * (Math.sin(low * angle) + Math.sin(high * angle)));
  }
  return samples;
}
