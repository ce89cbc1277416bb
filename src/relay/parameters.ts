const secretKey =
  /token|secret|passw|authori[sz]ation|credential|api[-_.]?key|private[-_.]?key|wsauth|cookie|signature/i;
const deepest = 8;

/**
 * The facts of a start message that may be written down: everything but what looks like a secret, at any depth. SIP headers
 * and an application's own metadata travel in these objects too.
 */
export function publicParameters(
  parameters: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return publicObject(parameters, 0);
}

function publicObject(object: Readonly<Record<string, unknown>>, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(object)
      .filter(([key]) => !secretKey.test(key))
      .map(([key, value]) => [key, publicValue(value, depth + 1)]),
  );
}

function publicValue(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > deepest) return null;
  if (Array.isArray(value)) return value.map((item) => publicValue(item, depth + 1));
  return publicObject(value as Record<string, unknown>, depth);
}
