/** What may stay in a log line although it looks like what mustn't. */
export interface Exempt {
  /** Numbers that whoever reads it knows from the manifest. */
  readonly numbers: readonly (string | null)[];
  /** Where in the program an error came from. */
  readonly stacks: boolean;
}

const secretKey =
  /authorization|cookie|passw|secret|token|signature|credential|api-?_?key|accesskey|connectionstring|sasurl/i;
const secretText = /\b(?:whsec_|Bearer\s+|Basic\s+)[\w+/=.~-]{6,}/g;
/** `user:password@` of a URL, and its query and fragment. */
const user = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@"'<>]+@/gi;
const query = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s?#"'<>]+)[?#][^\s"'<>]*/gi;
/** E.164 with what people write between its digits; who is called over SIP. */
const phoneNumber = /\+[1-9](?:[ ().-]{0,3}\d){6,14}|\b(?:tel|sips?):[^\s"'<>;,]+/gi;
const leftOut = '(left out)';
/** Deeper than any line is. */
const deepest = 8;

/**
 * A log line for eyes other than the operator's. Lines hold no secrets as they are written; what an error of somebody else's says in
 * passing (a URL with its query, a header, a number) is taken out all the same.
 */
export function withoutSecrets(
  line: Readonly<Record<string, unknown>>,
  exempt: Exempt,
): Readonly<Record<string, unknown>> {
  return cleanObject(line, exempt, 0);
}

function cleanObject(value: object, exempt: Exempt, depth: number): Record<string, unknown> {
  const entries = Object.entries(value).flatMap(([key, each]): [string, unknown][] => {
    if (key === 'stack' && !exempt.stacks) return [];
    if (secretKey.test(key) && typeof each !== 'number' && typeof each !== 'boolean') return [[key, leftOut]];
    return [[key, clean(each, exempt, depth + 1)]];
  });
  return Object.fromEntries(entries);
}

function clean(value: unknown, exempt: Exempt, depth: number): unknown {
  if (typeof value === 'string') return cleanText(value, exempt);
  if (typeof value !== 'object' || value === null) return value;
  if (depth > deepest) return leftOut;
  if (Array.isArray(value)) return value.map((each) => clean(each, exempt, depth + 1));
  return cleanObject(value, exempt, depth);
}

function cleanText(text: string, { numbers }: Exempt): string {
  const known = new Set(numbers.flatMap((number) => (number === null ? [] : [digitsOf(number)])));
  return text
    .replace(secretText, leftOut)
    .replace(user, '$1')
    .replace(query, '$1?…')
    .replace(phoneNumber, (number) => (known.has(digitsOf(number)) ? number : leftOut));
}

function digitsOf(number: string): string {
  return number.replace(/\D/g, '');
}
