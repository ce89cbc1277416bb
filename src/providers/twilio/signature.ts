import { createHmac, timingSafeEqual } from 'node:crypto';

/** Parameters of a form; a list where a name occurs more than once. */
export type FormParameters = Readonly<Record<string, string | readonly string[]>>;

/** What the provider may have signed: a URL, and the query's parameters where they were split off it. */
export interface UrlCandidate {
  readonly url: string;
  readonly params: FormParameters;
}

export interface CandidateSource {
  /** The origin under which the provider reaches this server, from the configuration; wins over the Host header. */
  readonly publicUrl: string | null;
  readonly hostHeader: string | undefined;
  /** Path and query as received. */
  readonly path: string;
  /** `['wss', 'ws']` for an upgrade, `['https', 'http']` for a webhook; the likeliest first. */
  readonly schemes: readonly string[];
}

/**
 * The signature that Twilio puts into `X-Twilio-Signature`: base64 of HMAC-SHA1, keyed with the auth token, over the URL
 * and the parameters sorted by name, name and value joined without separators (Twilio, "Webhooks Security"). An upgrade
 * has no parameters.
 */
export function signatureOf(token: string, url: string, params: FormParameters = {}): string {
  return createHmac('sha1', token).update(signedText(url, params)).digest('base64');
}

/**
 * Every URL that the request may have been signed as. Which one it is depends on how the TwiML was written and on what
 * stands in front of this server: the scheme, a slash at the end, the default port, and whether a query counts as part of
 * the URL or as parameters. At most 48, the likeliest first; none where there is neither origin nor a usable host.
 */
export function urlCandidates(source: CandidateSource): UrlCandidate[] {
  const origin = originOf(source);
  if (origin === null) return [];
  const [path, query] = split(source.path, '?');
  const candidates: UrlCandidate[] = [];
  for (const scheme of source.schemes) {
    for (const authority of authorities(scheme, origin.authority)) {
      for (const variant of slashVariants(origin.prefix + path)) {
        const url = `${scheme}://${authority}${variant}`;
        if (query === null) candidates.push({ url, params: {} });
        else candidates.push({ url: `${url}?${query}`, params: {} }, { url, params: formParameters(query) });
      }
    }
  }
  return candidates;
}

/** Reads a form body or a query (`application/x-www-form-urlencoded`). */
export function formParameters(text: string): FormParameters {
  const lists = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(text)) {
    const list = lists.get(name);
    if (list === undefined) lists.set(name, [value]);
    else list.push(value);
  }
  return Object.fromEntries(
    [...lists].map(([name, list]) => [name, list.length === 1 ? (list[0] ?? '') : list]),
  );
}

export interface SignedRequest {
  /** `X-Twilio-Signature`. */
  readonly header: string | undefined;
  /** Auth tokens that may have signed. None admits nothing. */
  readonly tokens: readonly string[];
  readonly candidates: readonly UrlCandidate[];
  /** The form of a webhook's body. */
  readonly params?: FormParameters;
}

/** Whether one of the tokens signed one of the candidates. Each comparison takes constant time. */
export function verifySignature({ header, tokens, candidates, params = {} }: SignedRequest): boolean {
  const given = Buffer.from(header ?? '', 'latin1');
  return candidates.some((candidate) => {
    const text = signedText(candidate.url, { ...candidate.params, ...params });
    return tokens.some((token) => equals(given, createHmac('sha1', token).update(text).digest('base64')));
  });
}

function equals(given: Buffer, expected: string): boolean {
  return given.length === expected.length && timingSafeEqual(given, Buffer.from(expected, 'latin1'));
}

function signedText(url: string, params: FormParameters): string {
  const names = Object.keys(params).sort();
  return (
    url +
    names
      .map((name) =>
        valuesOf(params[name])
          .map((value) => name + value)
          .join(''),
      )
      .join('')
  );
}

/** Repeated values of one name are signed once, sorted. */
function valuesOf(value: string | readonly string[] | undefined): readonly string[] {
  return typeof value === 'string' ? [value] : [...new Set(value)].sort();
}

/** What a host and port may look like; anything else in a Host header is not a name that was ever signed. */
const authorityPattern = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?$/;

function originOf({ publicUrl, hostHeader }: CandidateSource): { authority: string; prefix: string } | null {
  const [, authority = hostHeader ?? '', prefix = ''] =
    publicUrl === null ? [] : (/^[A-Za-z]+:\/\/([^/?#]+)([^?#]*)/.exec(publicUrl) ?? ['', '']);
  return authorityPattern.test(authority) ? { authority, prefix: prefix.replace(/\/+$/, '') } : null;
}

/** As given, without the port, with the scheme's default port; and each in lower case where that differs. */
function authorities(scheme: string, authority: string): string[] {
  const host = authority.replace(/:\d+$/, '');
  const port = scheme === 'wss' || scheme === 'https' ? 443 : 80;
  const forms = [authority, host, `${host}:${port}`];
  return [...new Set([...forms, ...forms.map((form) => form.toLowerCase())])];
}

function slashVariants(path: string): string[] {
  return path.endsWith('/') ? [path, path.slice(0, -1)] : [path, `${path}/`];
}

function split(text: string, separator: string): [string, string | null] {
  const index = text.indexOf(separator);
  return index < 0 ? [text, null] : [text.slice(0, index), text.slice(index + 1)];
}
