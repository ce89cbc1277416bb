import { endpointUrl, scalar, text } from './scalar.js';
import { section } from './section.js';

/** Where OpenTelemetry traces go. */
export function tracingSchema() {
  return section({
    endpoint: endpointUrl().nullable().default(null),
    headers: headers().default({}),
    serviceName: text('the name of a service, not empty').default('reelay'),
  });
}

/** RFC 9110, section 5.5: what a header of HTTP may be called, and hold. */
function headers() {
  const expected =
    'headers { name: value }, each a text without line breaks, in a name letters, digits and -';
  return scalar(expected, (value): Readonly<Record<string, string>> | undefined => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const entries = Object.entries(value as Record<string, unknown>);
    const isRight = ([name, each]: [string, unknown]): boolean =>
      /^[A-Za-z0-9_-]{1,128}$/.test(name) && typeof each === 'string' && /^[\x20-\x7e\t]*$/.test(each);
    return entries.every(isRight) ? (value as Record<string, string>) : undefined;
  });
}
