import { parse } from 'yaml';
import type { z } from 'zod';
import { nearest } from './nearest.js';
import { listKeys } from './schema.js';

/** A problem of the configuration: where, and what to do. */
export interface Problem {
  /** For example `accounts[0].twilio.authToken`, or the name of an environment variable. */
  readonly path: string;
  readonly message: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Replaces `${NAME}` in every text of a parsed document; `$${` stands for a plain `${`. Done on the parsed document, never on
 * its text, so that no value of a variable can add keys.
 *
 * @param used - receives the names that were looked up
 */
export function substitute(
  value: unknown,
  environment: Environment,
  problems: Problem[],
  used: Set<string>,
  path = '',
): unknown {
  if (Array.isArray(value))
    return value.map((each, index) => substitute(each, environment, problems, used, `${path}[${index}]`));
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, each]) => {
      const below = path === '' ? key : `${path}.${key}`;
      return [key, substitute(each, environment, problems, used, below)] as const;
    });
    return Object.fromEntries(entries);
  }
  if (typeof value !== 'string') return value;
  return value.replace(/\$\$\{|\$\{([^}]*)\}/g, (found, name: string | undefined) => {
    if (name === undefined) return '${';
    used.add(name);
    const content = environment[name];
    if (content !== undefined) return content;
    problems.push({
      path,
      message: `names the environment variable ${found}, which is not set; set ${name}`,
    });
    return found;
  });
}

/**
 * What `REELAY_…` variables say on top of the file. `media.publicUrl` is `REELAY_MEDIA_PUBLIC_URL`; a key of the first account
 * is `REELAY_ACCOUNTS_0_…`. A value that begins with `[` or `{` is read as YAML; lists may also be separated by commas.
 *
 * @param used - variables that the file refers to itself; they are nobody's misspelling
 */
export function overlayEnvironment(
  document: Record<string, unknown>,
  schema: z.core.$ZodType,
  environment: Environment,
  problems: Problem[],
  used: ReadonlySet<string>,
): void {
  const known = variablesOf(schema);
  const sections = new Set([...known.keys()].map((name) => name.split('_')[1]));
  for (const [name, value] of Object.entries(environment).sort()) {
    if (!name.startsWith('REELAY_') || value === undefined) continue;
    const indexed = /^REELAY_ACCOUNTS_(\d+)_/.exec(name);
    const path = known.get(indexed === null ? name : name.replace(/_\d+_/, '_0_'));
    if (path !== undefined) {
      const place = path.map((part) => (part === 0 ? Number(indexed?.[1]) : part));
      put(document, place, valueOf(name, value, place, problems));
    } else if (sections.has(name.split('_')[1]) && !used.has(name)) {
      const meant = nearest(name, [...known.keys()]);
      const remedy = meant === undefined ? 'unset it' : `did you mean ${meant}?`;
      problems.push({ path: name, message: `is an environment variable that sets nothing; ${remedy}` });
    }
  }
}

/** Every environment variable of the configuration and the path of the key that it sets; accounts are shown with index 0. */
export function variablesOf(schema: z.core.$ZodType): Map<string, (string | number)[]> {
  const found = new Map<string, (string | number)[]>();
  const walk = (at: z.core.$ZodType, path: (string | number)[]) => {
    const shape = shapeOf(at);
    if (path.length > 0 && (shape === undefined || path.length > 1)) found.set(variableOf(path), path);
    if (shape === undefined) return;
    if (Array.isArray(shape)) {
      found.set(variableOf(path), path);
      if (path.length === 1) walk(shape[0], [...path, 0]);
      return;
    }
    for (const [key, below] of Object.entries(shape)) walk(below, [...path, key]);
  };
  walk(schema, []);
  found.delete('REELAY_ACCOUNTS_0');
  return found;
}

function variableOf(path: readonly (string | number)[]): string {
  const words = path.map((part) =>
    String(part)
      .replace(/([A-Z])/g, '_$1')
      .toUpperCase(),
  );
  return ['REELAY', ...words].join('_');
}

/** What is inside a section or a list, undefined for a value; defaults and conversions around it are looked through. */
function shapeOf(schema: z.core.$ZodType): Record<string, z.core.$ZodType> | [z.core.$ZodType] | undefined {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (def.type === 'object') return { ...def.shape };
  if (def.type === 'array') return [def.element];
  if (def.type === 'pipe') return shapeOf(def.in);
  return 'innerType' in def ? shapeOf(def.innerType) : undefined;
}

function valueOf(
  name: string,
  value: string,
  path: readonly (string | number)[],
  problems: Problem[],
): unknown {
  if (/^\s*[[{]/.test(value)) {
    try {
      return parse(value);
    } catch {
      problems.push({ path: name, message: 'begins like a list or a section but is not valid YAML or JSON' });
    }
  }
  return listKeys.has(String(path.at(-1))) ? value.split(',').map((each) => each.trim()) : value;
}

function put(document: Record<string, unknown>, path: readonly (string | number)[], value: unknown): void {
  const [first, ...rest] = path;
  if (first === undefined) return;
  if (rest.length === 0) {
    document[first] = value;
    return;
  }
  const below = document[first];
  const isSection = typeof below === 'object' && below !== null;
  const inner = (isSection ? below : typeof rest[0] === 'number' ? [] : {}) as Record<string, unknown>;
  document[first] = inner;
  put(inner, rest, value);
}
